"""Globex redeems a code once, for its own client alone, which proves who it is and what it asked."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.authorization import AuthorizationRequest, Client
from demo.jwt import half_hash, public_jwk, write_jwt
from demo.people import GLOBEX
from demo.sign_ons import SignedOn
from demo.token_endpoint import ASSERTION_TYPE, Code, TokenRefused, TokenRequest, redeem
from demo.web import Store
from tests.fakes.saml_keys import key_pair

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
CLIENT = Client("countersign", "http://localhost:8000/oidc/globex-login/callback", "http://localhost:8000/oauth/jwks")
TOKEN_URL = "http://localhost:8004/token"
VERIFIER = "a-verifier-that-nobody-guesses-0123456789abcdef"
CHALLENGE = "g9IEyHajaipIuUQunWv4vEGABMcoQVR_kbLrKQ5pbL0"
ASKED = AuthorizationRequest("state", "nonce", CHALLENGE, frozenset(), None, ())
KEYS = [public_jwk(key_pair("demo client").rsa, kid="c1")]


def assertion(*, key: str = "demo client", **changes: Any) -> str:
    claims = {
        "iss": "countersign",
        "sub": "countersign",
        "aud": TOKEN_URL,
        "exp": SECONDS + 60,
        "iat": SECONDS,
        "jti": "once",
        **changes,
    }
    return write_jwt(claims, key=key_pair(key).rsa, kid="c1")


def form(code: str, /, **changes: str) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CLIENT.redirect_uri,
        "code_verifier": VERIFIER,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(),
        **changes,
    }


class Desk:
    def __init__(self) -> None:
        self.codes: Store[Code] = Store()
        self.used_ids: Store[str] = Store()
        signed_on = SignedOn(GLOBEX["gina"], NOW, second_factor=False)
        self.code = self.codes.put(Code(ASKED, signed_on, NOW))

    def redeem(self, fields: Mapping[str, str], *, now: datetime = NOW) -> Code:
        request = TokenRequest(fields, CLIENT, KEYS, frozenset({"http://localhost:8004", TOKEN_URL}), now)
        return redeem(request, codes=self.codes, used_ids=self.used_ids)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("audience", [TOKEN_URL, "http://localhost:8004", [TOKEN_URL, "https://another.example"]])
def test_the_broker_redeems_its_code(desk: Desk, audience: Any) -> None:
    told = desk.redeem(form(desk.code, client_assertion=assertion(aud=audience)))
    assert told.signed_on.employee.email == "gina@globex.example"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_assertion_type": "urn:other"}, "invalid_client"),
        ({"client_assertion": ""}, "invalid_client"),
        ({"client_assertion": "a.b.c"}, "invalid_client"),
        ({"client_assertion": assertion(key="another")}, "invalid_client"),
        ({"client_assertion": assertion(iss="another")}, "invalid_client"),
        ({"client_assertion": assertion(sub="another")}, "invalid_client"),
        ({"client_assertion": assertion(aud="https://another.example")}, "invalid_client"),
        ({"client_assertion": assertion(aud=None)}, "invalid_client"),
        ({"client_assertion": assertion(exp=SECONDS - 60)}, "invalid_client"),
        ({"client_assertion": assertion(exp=SECONDS + 3600)}, "invalid_client"),
        ({"client_assertion": assertion(exp=None)}, "invalid_client"),
        ({"client_assertion": assertion(jti="")}, "invalid_client"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
        ({"code": "another"}, "invalid_grant"),
        ({"redirect_uri": "http://thief.example/"}, "invalid_grant"),
        ({"code_verifier": "another"}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
    ],
)
def test_what_is_not_in_order_is_refused(desk: Desk, changes: dict[str, str], error: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        desk.redeem(form(desk.code, **changes))
    assert refused.value.error == error


def test_a_code_is_redeemed_once(desk: Desk) -> None:
    desk.redeem(form(desk.code))
    with pytest.raises(TokenRefused, match="used before"):
        desk.redeem(form(desk.code, client_assertion=assertion(jti="twice")))


def test_an_assertion_counts_once(desk: Desk) -> None:
    desk.redeem(form(desk.code))
    with pytest.raises(TokenRefused, match="assertion was used before"):
        desk.redeem(form(desk.code))


def test_a_code_grows_old(desk: Desk) -> None:
    later = NOW + timedelta(seconds=61)
    fields = form(desk.code, client_assertion=assertion(exp=SECONDS + 120))
    with pytest.raises(TokenRefused, match="too old"):
        desk.redeem(fields, now=later)


def test_the_half_hash_is_that_of_the_specification() -> None:
    # OpenID Connect Core appendix A.3.
    assert half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y") == "77QmUPtjPfzWtF2AnpK9RQ"
