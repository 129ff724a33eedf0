"""What a provider's endpoints can answer instead of what was asked for, through the callback."""

import time

import pytest

from broker import limits
from broker.traces.models import Trace
from broker.traces.services import read_trace
from tests.fakes.fake_op import ALICE, http
from tests.fakes.server import saying, serving, trickling
from tests.flows.openid_stage import make_openid_company
from tests.flows.stage import Browser, answer_of

pytestmark = pytest.mark.django_db
HUGE = trickling(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"[" * 65536, pause=0, pieces=800)
"""50 MB."""
SLOW = trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"[", pause=0.05, pieces=200)
LEAN = {"email": ...}
"""An ID token that makes us ask for userinfo."""

BAD_ANSWERS = {
    "HTML": http("<html>Sign in</html>", content_type="text/html"),
    "HTML called JSON": http("<html>Sign in</html>"),
    "an empty body": http(""),
    "a list": http("[]"),
    "a text": http('"tokens"'),
    "twins": http('{"id_token": "a", "id_token": "b"}'),
    "not a number": http('{"expires_in": NaN}'),
    "deep": http("[" * 100_000),
    "not UTF-8": http(b'{"x": "\xff"}'),
    "compressed": http(b"\x1f\x8b", Content_Encoding="gzip"),
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{",
    "no HTTP": b"nonsense\r\n\r\n",
    "status 500": http("{}", status="500 Oops"),
    "status 204": b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    "50 MB": HUGE,
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_a_bad_token_answer_opens_no_door(refusal_of, fake_op, answer):
    fake_op.raw["/token"] = answer
    status, code = refusal_of()
    assert (status, code in {"oidc.token_request", "oidc.token_answer"}) == (502, True)


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_a_bad_userinfo_answer_opens_no_door(refusal_of, fake_op, answer):
    fake_op.raw["/userinfo"] = answer
    status, code = refusal_of(claims=LEAN)
    assert (status, code) in {(502, "oidc.userinfo"), (401, "oidc.userinfo_subject")}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_bad_keys_open_no_door(refusal_of, fake_op, answer):
    fake_op.raw["/jwks"] = answer
    assert refusal_of() == (502, "oidc.keys")


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/token", "OIDC_REQUEST_SECONDS"), ("/userinfo", "OIDC_REQUEST_SECONDS"), ("/jwks", "REMOTE_KEYS_SECONDS")],
)
def test_a_trickle_ends_in_time(refusal_of, fake_op, monkeypatch, path, limit):
    assert getattr(limits, limit) <= 10
    monkeypatch.setattr(limits, limit, 0.3)
    fake_op.raw[path] = SLOW
    began = time.monotonic()
    assert refusal_of(claims=LEAN)[0] == 502
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("path", ["/token", "/userinfo", "/jwks"])
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Again", "308 For good"])
def test_no_redirect_leads_inside(refusal_of, fake_op, path, status):
    with serving(saying(http("{}"))) as inside:
        fake_op.raw[path] = http("", status=status, Location=f"http://127.0.0.1:{inside.port}/")
        assert refusal_of(claims=LEAN)[0] == 502
    assert inside.connections == 0


@pytest.mark.parametrize("endpoint", ["token_endpoint", "userinfo_endpoint", "jwks_uri"])
def test_an_endpoint_on_a_network_that_is_not_allowed_gets_no_packet(fake_op, settings, endpoint):
    """Registered while it was allowed, or by a name that leads elsewhere since."""
    with serving(saying(http("{}"))) as inside:
        fake_op.document = {endpoint: f"https://127.0.0.2:{inside.port}/"}
        company = make_openid_company(fake_op)
        settings.OUTGOING_NETWORKS = ["127.0.0.1/32"]
        response = company.sign_on(Browser(), claims=LEAN)
    assert response.status_code == 502
    assert inside.connections == 0


TOKEN_ANSWERS = {
    "no ID token": {"id_token": ...},
    "a number as ID token": {"id_token": 5},
    "an empty ID token": {"id_token": ""},
    "no access token": {"access_token": ...},
    "a list of access tokens": {"access_token": ["a"]},
    "no type": {"token_type": ...},
    "another type": {"token_type": "DPoP"},
    "an access token that ends the header": {"access_token": "a\r\nX-Forwarded-For: 127.0.0.1"},
    "an access token with NUL": {"access_token": "a\u0001"},
    "an access token beyond ASCII": {"access_token": "ä"},
}


@pytest.mark.parametrize("tokens", TOKEN_ANSWERS.values(), ids=TOKEN_ANSWERS.keys())
def test_a_token_answer_without_usable_tokens_is_refused(refusal_of, tokens):
    assert refusal_of(tokens=tokens) == (502, "oidc.token_answer")


@pytest.mark.parametrize("token_type", ["bearer", "BEARER"])
def test_the_token_type_is_read_in_any_case(company, token_type):
    assert "code" in answer_of(company.sign_on(Browser(), tokens={"token_type": token_type}))


def test_a_code_that_the_provider_does_not_know_is_told_with_its_error(refusal_of):
    assert refusal_of(answer={"code": "another"}) == (502, "oidc.token_request")
    entries = [entry for hop in read_trace(Trace.objects.get().pk) for entry in hop["entries"]]
    assert "status 400, invalid_grant" in [entry.get("actual") for entry in entries]


def test_a_wrong_secret_is_told_with_the_providers_error(refusal_of, fake_op):
    fake_op.accepts = lambda headers, form: False
    assert refusal_of() == (502, "oidc.token_request")
    entries = [entry for hop in read_trace(Trace.objects.get().pk) for entry in hop["entries"]]
    assert "status 401, invalid_client: who are you?" in [entry.get("actual") for entry in entries]


@pytest.mark.parametrize(
    "sub", ["another", ALICE["sub"].upper(), f"{ALICE['sub']} ", "", 5, [ALICE["sub"]], ...], ids=repr
)
def test_userinfo_about_somebody_else_is_refused(refusal_of, sub):
    assert refusal_of(claims=LEAN, userinfo={"sub": sub}) == (401, "oidc.userinfo_subject")


def test_userinfo_as_a_token_is_not_read(refusal_of, fake_op):
    fake_op.raw["/userinfo"] = http("a.b.c", content_type="application/jwt")
    assert refusal_of(claims=LEAN) == (502, "oidc.userinfo")


def test_userinfo_of_another_access_token_is_none(refusal_of):
    assert refusal_of(claims=LEAN | {"at_hash": ...}, tokens={"access_token": "another"}) == (502, "oidc.userinfo")


def test_another_access_token_than_the_id_token_names_is_refused(refusal_of):
    assert refusal_of(tokens={"access_token": "another"}) == (401, "oidc.at_hash")


@pytest.mark.parametrize(
    ("place", "limit"), [("tokens", limits.OIDC_TOKEN_ANSWER_BYTES), ("userinfo", limits.OIDC_USERINFO_BYTES)]
)
def test_an_answer_of_nearly_the_greatest_size_passes_and_a_larger_one_does_not(company, place, limit):
    # As a list of empty lists, which no reader of claims counts.
    room = 6_000
    for length, passes in ((limit - room, True), (limit, False)):
        padded = {"padding": [[]] * (length // 4)}
        assert ("Location" in company.sign_on(Browser(), claims=LEAN, **{place: padded})) is passes
