"""openid-client (npm, certified) obtains, binds, exchanges, asks about and revokes tokens, with DPoP and PAR."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.peers.broker import BASE_URL, Broker
from tests.peers.browser import Browser
from tests.peers.relying_parties import RelyingParty
from tests.peers.token_parties import ORDERS, STOCK, OpenIDClient
from tests.peers.upstreams import OPENID_PROVIDER

NewBrowser = Callable[..., Browser]


def unverified_claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


@pytest.mark.parametrize("client_id", ["npm-basic", "npm-keys"])
def test_openid_client_obtains_a_token(client_id: str, npm: OpenIDClient) -> None:
    answer = npm.ask(client_id, scope="orders.read", resource=ORDERS).answer
    assert (answer["token_type"].lower(), answer["scope"]) == ("bearer", "orders.read")
    assert unverified_claims(answer["access_token"])["aud"] == ORDERS


@pytest.mark.parametrize("client_id", ["npm-basic", "npm-bound"])
def test_a_token_is_bound_to_the_key_of_the_proof(client_id: str, npm: OpenIDClient) -> None:
    told = npm.ask(client_id, dpop="first")
    assert told.answer["token_type"].lower() == "dpop"
    assert set(unverified_claims(told.token)["cnf"]) == {"jkt"}
    other = npm.ask(client_id, dpop="second").token
    assert unverified_claims(told.token)["cnf"] != unverified_claims(other)["cnf"]


def test_the_nonce_is_asked_for_once_and_then_known(npm: OpenIDClient) -> None:
    name = f"new-{time.time_ns()}"
    first, second = npm.ask("npm-basic", dpop=name), npm.ask("npm-basic", dpop=name)
    assert first.token
    assert second.whole["statuses"] == [200]


def test_a_client_whose_tokens_must_be_bound_gets_none_without_a_proof(broker: Broker, npm: OpenIDClient) -> None:
    refused = npm.ask("npm-bound")
    assert refused.refusal["error"] == "invalid_dpop_proof"
    assert broker.reason(refused.trace_id) == "absent"


def test_a_proof_serves_once(broker: Broker, npm: OpenIDClient) -> None:
    assert npm.ask("npm-basic", dpop="first").token
    again = npm.again()
    assert (again.answer["status"], again.answer["body"]["error"]) == (400, "invalid_dpop_proof")
    assert broker.reason(again.trace_id) == "used"


@pytest.mark.parametrize(
    ("assertion", "reason"),
    [
        ({"exp": 1_700_000_000}, "jwt.expired"),
        ({"aud": f"{BASE_URL}/oauth/token"}, "jwt.audience"),
        ({"iss": "npm-basic"}, "jwt.issuer"),
        ({"jti": 7}, "jwt.claim"),
    ],
    ids=["expired", "token-endpoint", "another's", "jti"],
)
def test_an_assertion_that_says_otherwise_is_refused(
    assertion: dict[str, object], reason: str, broker: Broker, npm: OpenIDClient
) -> None:
    told = npm.ask("npm-keys", assertion=assertion)
    assert told.whole["statuses"] == [401]
    # The library shows the challenge of such an answer, and nothing else of it.
    [challenge] = told.refusal["cause"]
    assert (challenge["scheme"], challenge["parameters"]["error"]) == ("basic", "invalid_client")
    assert broker.reason(told.trace_id) == reason


def test_an_assertion_serves_once(broker: Broker, npm: OpenIDClient) -> None:
    assert npm.ask("npm-keys").token
    again = npm.again()
    assert (again.answer["status"], again.answer["body"]["error"]) == (401, "invalid_client")
    assert broker.reason(again.trace_id) == "replayed"


def test_it_asks_about_tokens_and_revokes_its_own(npm: OpenIDClient) -> None:
    token = npm.ask("npm-basic", dpop="first").token
    told = npm.use("stock-api", "tokenIntrospection", token=token).answer
    assert (told["active"], told["client_id"], told["token_type"]) == (True, "npm-basic", "DPoP")
    assert set(told["cnf"]) == {"jkt"}
    assert npm.use("npm-keys", "tokenIntrospection", token=token).answer == {"active": False}
    npm.use("npm-keys", "tokenRevocation", token=token)
    assert npm.use("stock-api", "tokenIntrospection", token=token).answer["active"]
    assert npm.use("npm-basic", "tokenRevocation", token=token).problem is None
    assert npm.use("stock-api", "tokenIntrospection", token=token).answer == {"active": False}


def test_an_exchange_without_a_flow_is_refused(broker: Broker, npm: OpenIDClient) -> None:
    refused = npm.exchange("stock-api", npm.ask("npm-basic").token, resource=ORDERS, scope="orders.read")
    assert refused.refusal["error"] == "invalid_target"
    assert broker.reason(refused.trace_id) == "flow.none"


# --- A person, pushed requests and bound tokens ---------------------------------------------------------------------
def test_a_person_arrives_by_a_pushed_request_with_bound_tokens(bound: RelyingParty, new_browser: NewBrowser) -> None:
    browser = new_browser(OPENID_PROVIDER)
    told = browser.visit(bound.at("/whoami")).json
    assert told["tokenType"].lower() == "dpop"
    assert told["userinfo"]["email"] == OPENID_PROVIDER.email
    asked = next(hop.url for hop in browser.hops if hop.url.startswith(f"{BASE_URL}/oauth/authorize"))
    assert "request_uri=urn" in asked
    assert "redirect_uri" not in asked


def test_bound_tokens_are_renewed_with_a_proof_alone(bound: RelyingParty, new_browser: NewBrowser) -> None:
    browser = new_browser(OPENID_PROVIDER)
    before = browser.visit(bound.at("/whoami")).json
    after = browser.visit(bound.at("/refresh")).json
    assert (after["rotated"], after["userinfo"]) == (True, before["userinfo"])
    refused = browser.visit(bound.at("/refresh-unproved"))
    assert (refused.status, refused.json["problem"]["error"]) == (403, "invalid_dpop_proof")


def test_a_bound_token_is_exchanged_with_a_proof_by_its_key_alone(bound: RelyingParty, new_browser: NewBrowser) -> None:
    browser = new_browser(OPENID_PROVIDER)
    browser.visit(bound.at("/whoami"))
    refused = browser.visit(bound.at("/resource?key=another"))
    assert (refused.status, refused.json["problem"]["error"]) == (403, "invalid_grant")


def test_a_service_acts_for_the_person_at_an_api_that_is_not_ours(bound: RelyingParty, new_browser: NewBrowser) -> None:
    browser = new_browser(OPENID_PROVIDER)
    who = browser.visit(bound.at("/whoami")).json["claims"]["sub"]
    told = browser.visit(bound.at("/resource")).json
    assert told["exchanged"]["token_type"].lower() == "dpop"
    claims = told["told"]["claims"]
    assert (claims["sub"], claims["aud"], claims["act"]["sub"]) == (who, STOCK, "bound")


def test_a_service_acts_for_the_person_only_within_its_flow(bound: RelyingParty, new_browser: NewBrowser) -> None:
    browser = new_browser(OPENID_PROVIDER)
    browser.visit(bound.at("/whoami"))
    refused = browser.visit(bound.at("/resource?scope=stock.write"))
    assert refused.status == 403
    assert refused.json["problem"]["error"] == "invalid_scope"


def test_an_authorization_request_that_was_not_pushed_is_refused(bound: RelyingParty, new_browser: NewBrowser) -> None:
    query = "response_type=code&client_id=bound&scope=openid&state=s&redirect_uri=http://127.0.19.31:18100/callback"
    browser = new_browser(OPENID_PROVIDER)
    page = browser.visit(f"{BASE_URL}/oauth/authorize?{query}&code_challenge={'a' * 43}&code_challenge_method=S256")
    assert browser.passwords_typed == 0
    assert page.status >= 400
