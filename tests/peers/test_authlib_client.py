"""Authlib's OAuth2Session obtains, exchanges, asks about and revokes tokens; what it may not do is refused."""

import time

import pytest

from tests.peers.broker import BASE_URL, Broker
from tests.peers.token_parties import ORDERS, STOCK, AuthlibClient, OpenIDClient, Told

CLIENTS = ["authlib-basic", "authlib-post", "authlib-keys", "authlib-keys-as-ever"]


def by_issuer(client_id: str) -> dict[str, str]:
    """The audience that a client names which says what RFC 7523's successor asks for; the others say Authlib's own."""
    return {"audience": BASE_URL} if client_id == "authlib-keys" else {}


@pytest.mark.parametrize("client_id", CLIENTS)
def test_authlib_obtains_a_token_by_each_method(client_id: str, authlib: AuthlibClient) -> None:
    answer = authlib.ask(client_id, **by_issuer(client_id)).answer
    assert (answer["token_type"], answer["scope"]) == ("Bearer", "orders.read")
    assert 0 < answer["expires_in"] <= 600
    told = authlib.introspect(answer["access_token"])
    assert (told["active"], told["client_id"], told["aud"]) == (True, client_id, ORDERS)


def refused_client(refused: Told, broker: Broker) -> str:
    """Asserts that the client was not believed. Returns why, which the answer does not say."""
    assert (refused.whole["status"], refused.refusal["error"]) == (401, "invalid_client")
    return broker.reason(refused.trace_id)


def test_the_token_endpoint_as_audience_needs_its_dated_exception(broker: Broker, authlib: AuthlibClient) -> None:
    assert refused_client(authlib.ask("authlib-keys"), broker) == "jwt.audience"


def test_an_assertion_serves_once(broker: Broker, authlib: AuthlibClient) -> None:
    once = {"jti": f"the-same-{time.time_ns()}"}
    assert authlib.ask("authlib-keys-as-ever", claims=once).token
    assert refused_client(authlib.ask("authlib-keys-as-ever", claims=once), broker) == "replayed"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": 1_700_000_000}, "jwt.expired"),
        ({"iat": 1_700_000_000}, "jwt.lifetime"),
        ({"iat": 1_700_000_000, "exp": 1_700_003_600}, "jwt.expired"),
        ({"sub": "authlib-basic"}, "unknown_client"),
        ({"aud": "https://elsewhere.example"}, "jwt.audience"),
    ],
    ids=["expired", "for-years", "old", "another's", "elsewhere"],
)
def test_an_assertion_that_says_otherwise_is_refused(
    claims: dict[str, object], reason: str, broker: Broker, authlib: AuthlibClient
) -> None:
    assert refused_client(authlib.ask("authlib-keys-as-ever", claims=claims), broker) == reason


def test_an_assertion_by_a_key_that_was_not_published_is_refused(broker: Broker, authlib: AuthlibClient) -> None:
    stranger = authlib.ask("authlib-keys", audience=BASE_URL, as_a_stranger=True)
    assert refused_client(stranger, broker) == "jwt.signature"


@pytest.mark.parametrize("client_id", ["authlib-basic", "authlib-post"])
def test_a_wrong_secret_is_refused(client_id: str, broker: Broker, authlib: AuthlibClient) -> None:
    wrong = authlib.ask(client_id, secret="another secret of letters and digits 0123456789")
    assert refused_client(wrong, broker) == "secret"


def test_a_refusal_has_its_trace(broker: Broker, authlib: AuthlibClient) -> None:
    header = broker.trace(authlib.ask("authlib-keys").trace_id)["header"]
    assert (header["outcome"], header["code"]) == ("refused", "oauth.invalid_client")


@pytest.mark.parametrize(
    ("scope", "resource", "error", "reason"),
    [
        ("orders.write", ORDERS, "invalid_scope", "flow.scope"),
        ("orders.read", "https://unknown.example/api", "invalid_target", "unknown"),
        ("stock.read", STOCK, "invalid_target", "flow.none"),
    ],
    ids=["scope", "unknown-resource", "no-flow"],
)
def test_what_no_flow_allows_is_refused(
    scope: str, resource: str, error: str, reason: str, broker: Broker, authlib: AuthlibClient
) -> None:
    refused = authlib.ask("authlib-post", scope=scope, resource=resource)
    assert (refused.whole["status"], refused.refusal["error"]) == (400, error)
    assert broker.reason(refused.trace_id) == reason


def test_the_resource_server_exchanges_what_it_was_sent(authlib: AuthlibClient) -> None:
    token = authlib.ask("authlib-basic").token
    answer = authlib.exchange("orders-api", token).answer
    assert (answer["issued_token_type"], answer["scope"]) == (
        "urn:ietf:params:oauth:token-type:access_token",
        "stock.read",
    )
    assert answer["access_token"] != token


@pytest.mark.parametrize(
    ("client_id", "scope", "resource", "reason"),
    [
        ("authlib-basic", "stock.read", STOCK, "not_meant"),
        ("orders-api", "stock.write", STOCK, "flow.scope"),
        ("orders-api", "orders.read", ORDERS, "flow.none"),
    ],
    ids=["not-sent-to-it", "wider", "elsewhere"],
)
def test_an_exchange_without_a_flow_is_refused(
    client_id: str, scope: str, resource: str, reason: str, broker: Broker, authlib: AuthlibClient
) -> None:
    refused = authlib.exchange(client_id, authlib.ask("authlib-basic").token, scope=scope, resource=resource)
    assert refused.whole["status"] == 400
    assert broker.reason(refused.trace_id) == reason


def test_a_token_that_was_sent_to_another_api_is_not_exchanged(
    broker: Broker, authlib: AuthlibClient, npm: OpenIDClient
) -> None:
    refused = authlib.exchange("orders-api", npm.ask("npm-basic").token)
    assert (refused.whole["status"], refused.refusal["error"]) == (400, "invalid_request")
    assert broker.reason(refused.trace_id) == "not_meant"


def test_only_who_guards_the_resource_hears_of_its_tokens(authlib: AuthlibClient) -> None:
    token = authlib.ask("authlib-basic").token
    assert authlib.introspect(token)["scope"] == "orders.read"
    assert authlib.introspect(token, client_id="authlib-post") == {"active": False}
    assert authlib.introspect("nobody's") == {"active": False}


def test_what_is_revoked_is_over_at_once_with_all_that_came_from_it(authlib: AuthlibClient) -> None:
    token, bystander = authlib.ask("authlib-basic").token, authlib.ask("authlib-post").token
    authlib.use("authlib-post", "revoke_token", token=token)
    assert authlib.introspect(token)["active"], "another client has ended it"
    authlib.use("authlib-basic", "revoke_token", token=token)
    assert authlib.introspect(token) == {"active": False}
    assert authlib.exchange("orders-api", token).refusal["error"] == "invalid_request"
    assert authlib.introspect(bystander)["active"]
