"""The demonstration's applications end a session only by a logout token that passes every check, once."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from demo.application import BACKCHANNEL_PATH, BUSINESSES, Application
from demo.logout_token import CHECKS, EVENT, Leaving, LogoutExpectation, LogoutRefused, verify_logout_token
from demo.relying_party import RelyingParty, Tokens
from demo.web import Site
from tests.demo.browser import Browser
from tests.demo.test_id_token import jwk, token
from tests.fakes.server import saying, serving

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
ISSUER = "http://localhost:8000"


def logout_token(*, now: int = SECONDS, issuer: str = ISSUER, **changes: Any) -> str:
    """`header` and `key` as of `token`; a claim that is None is left out."""
    header = {"typ": "logout+jwt"} | changes.pop("header", {})
    claims = {
        "iss": issuer,
        "exp": now + 120,
        "iat": now,
        "nonce": None,
        "at_hash": None,
        "jti": "j-1",
        "sid": "s-1",
        "events": {EVENT: {}},
    }
    return token(header=header, **(claims | changes))


def verify(raw: str) -> Leaving:
    return verify_logout_token(raw, LogoutExpectation(ISSUER, "crm", (jwk(),), NOW))


def test_a_token_says_whose_session_ends() -> None:
    assert verify(logout_token()) == Leaving("j-1", "s-1", "1f0c")
    assert verify(logout_token(sub=None)).subject == ""
    assert verify(logout_token(sid=None)).session == ""
    assert verify(logout_token(aud=["crm"])).session == "s-1"


@pytest.mark.parametrize(
    "flaw",
    [
        {"header": {"typ": "JWT"}},
        {"header": {"typ": None}},
        {"header": {"kid": "k2"}},
        {"header": {"alg": "HS256"}},
        {"header": {"crit": ["x"]}},
        {"key": "a stranger"},
        {"issuer": "http://localhost:9999"},
        {"aud": "hr"},
        {"aud": ["crm", "hr"]},
        {"aud": None},
        {"exp": None},
        {"exp": SECONDS + 3600},
        {"exp": SECONDS - 60},
        {"iat": None},
        {"iat": SECONDS - 600, "exp": SECONDS - 480},
        {"iat": SECONDS + 600, "exp": SECONDS + 660},
        {"exp": True},
        {"nonce": "n"},
        {"nonce": ""},
        {"events": None},
        {"events": []},
        {"events": {"http://schemas.openid.net/event/other": {}}},
        {"events": {EVENT: "x"}},
        {"jti": None},
        {"jti": 7},
        {"sid": None, "sub": None},
        {"sid": ["s-1"]},
    ],
    ids=str,
)
def test_a_flaw_is_refused(flaw: dict[str, Any]) -> None:
    with pytest.raises(LogoutRefused):
        verify(logout_token(**flaw))


@pytest.mark.parametrize("raw", ["", "x", "a.b.c", "....", "e30.e30."])
def test_what_is_no_token_is_refused(raw: str) -> None:
    with pytest.raises(LogoutRefused):
        verify(raw)


def test_no_check_is_missing() -> None:
    assert len(CHECKS) == 8


# --- At the application
class Crm:
    """The application with two browsers signed on, and the issuer that it asks for keys."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        relying_party = RelyingParty(
            issuer, "crm", "secret", "http://localhost:8002/callback", "http://localhost:8002/out"
        )
        self.application = Application(BUSINESSES["crm"], relying_party, broker=issuer)
        self.site = Site("http://localhost:8002", self.application.pages(), on_fault=self.application.on_fault)
        self.alice, self.bob = self.signed_on("s-1", "alice"), self.signed_on("s-2", "bob")

    def signed_on(self, sid: str, sub: str) -> Browser:
        claims = {"sid": sid, "sub": sub, "iss": self.issuer}
        tokens = Tokens("", "", "", "openid", 600, claims, {"name": sub}, NOW)
        browser = Browser(self.site)
        browser.cookies[self.application.session_cookie] = self.application.sessions.put(tokens)
        return browser

    def tell(self, **changes: Any) -> Browser:
        now = int(datetime.now(UTC).timestamp())
        return self.tell_raw(logout_token(now=now, issuer=self.issuer, **changes))

    def tell_raw(self, raw: str) -> Browser:
        return Browser(self.site).post(BACKCHANNEL_PATH, origin=self.site.address, logout_token=raw)


@pytest.fixture
def crm() -> Iterator[Crm]:
    def answer(connection: Any) -> None:
        found = {"issuer": issuer, "jwks_uri": f"{issuer}/oauth/jwks", "keys": [jwk()]}
        body = json.dumps(found).encode()
        saying(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))(connection)

    with serving(answer) as server:
        issuer = f"http://127.0.0.1:{server.port}"
        yield Crm(issuer)


def test_the_session_that_is_named_ends_and_no_other(crm: Crm) -> None:
    assert "Hello, alice" in crm.alice.get("/").text
    told = crm.tell(sub="alice")
    assert (told.status, told.text) == (200, "")
    assert "Countersign ended your session at" in crm.alice.get("/").text
    assert "Hello, bob" in crm.bob.get("/").text


def test_without_a_session_all_of_the_person_end(crm: Crm) -> None:
    phone = crm.signed_on("s-3", "alice")
    assert crm.tell(sid=None, sub="alice").status == 200
    for browser in (crm.alice, phone):
        assert "ended your session" in browser.get("/").text
    assert "Hello, bob" in crm.bob.get("/").text


def test_a_session_that_is_over_here_is_acknowledged_too(crm: Crm) -> None:
    assert crm.tell(sid="unknown").status == 200


def test_a_token_counts_once(crm: Crm) -> None:
    assert crm.tell(sid="s-9").status == 200
    again = crm.tell(sid="s-1")
    assert again.status == 400
    assert json.loads(again.text)["error"] == "invalid_request"
    assert "Hello, alice" in crm.alice.get("/").text


@pytest.mark.parametrize("raw", ["", "x.y.z"])
def test_a_refusal_ends_nothing_and_says_why(crm: Crm, raw: str) -> None:
    told = crm.tell_raw(raw)
    assert told.status == 400
    assert json.loads(told.text)["error_description"]
    assert "Hello, alice" in crm.alice.get("/").text


def test_an_id_token_ends_nothing(crm: Crm) -> None:
    assert crm.tell(header={"typ": "JWT"}).status == 400
    assert "Hello, alice" in crm.alice.get("/").text
