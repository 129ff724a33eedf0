"""Every way in which an ID token can be wrong, through the callback: each is refused with its own code."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.keys.remote import remote_keys
from broker.refusals import CATALOGUE
from broker.traces.collector import Collector
from broker.traces.models import Trace
from broker.traces.services import read_trace
from federation.checks import run_checks
from federation.upstream.id_token import ID_TOKEN_CHECKS
from tests.fakes.fake_op import CLIENT_ID, CLIENT_SECRET, half_hash
from tests.fakes.tokens import b64, ec_key, es256, hs256, ps256, rs256, rsa_key, unsigned
from tests.flows.openid_stage import make_openid_company
from tests.flows.stage import Browser, answer_of

pytestmark = pytest.mark.django_db
NOW = timedelta(0)
HOUR = timedelta(hours=1)

FLAWS = {
    "another issuer": ({"iss": "https://evil.example"}, "oidc.issuer"),
    "no issuer": ({"iss": ...}, "oidc.claim"),
    "another audience": ({"aud": "another-client"}, "oidc.audience"),
    "our audience in capitals": ({"aud": CLIENT_ID.upper()}, "oidc.audience"),
    "an audience beside ours": ({"aud": [CLIENT_ID, "another-client"]}, "oidc.audience"),
    "an audience beside ours, and ours as azp": (
        {"aud": [CLIENT_ID, "another-client"], "azp": CLIENT_ID},
        "oidc.audience",
    ),
    "no audience": ({"aud": ...}, "oidc.claim"),
    "an empty audience": ({"aud": []}, "oidc.claim"),
    "another authorized party": ({"azp": "another-client"}, "oidc.authorized_party"),
    "expired": ({"exp": NOW - HOUR, "iat": NOW - 2 * HOUR}, "oidc.expired"),
    "no exp": ({"exp": ...}, "oidc.claim"),
    "exp as text": ({"exp": "99999999999"}, "oidc.claim"),
    "exp in a far future": ({"exp": NOW + limits.OIDC_ID_TOKEN_LIFETIME + HOUR}, "oidc.lifetime"),
    "exp before iat": ({"exp": NOW, "iat": NOW + timedelta(seconds=30)}, "oidc.lifetime"),
    "no iat": ({"iat": ...}, "oidc.claim"),
    "issued long ago": ({"iat": NOW - limits.OIDC_ID_TOKEN_AGE - timedelta(seconds=1)}, "oidc.expired"),
    "issued in the future": ({"iat": NOW + HOUR, "exp": NOW + 2 * HOUR}, "oidc.lifetime"),
    "not yet valid": ({"nbf": NOW + HOUR}, "oidc.lifetime"),
    "another nonce": ({"nonce": "another"}, "oidc.nonce"),
    "no nonce": ({"nonce": ...}, "oidc.claim"),
    "an empty nonce": ({"nonce": ""}, "oidc.claim"),
    "a list of nonces": ({"nonce": ["another"]}, "oidc.claim"),
    "another access token's hash": ({"at_hash": half_hash("another")}, "oidc.at_hash"),
    "the whole hash": ({"at_hash": b64(bytes(32))}, "oidc.at_hash"),
    "no subject": ({"sub": ...}, "oidc.claim"),
    "an empty subject": ({"sub": ""}, "oidc.claim"),
    "a number as subject": ({"sub": 5}, "oidc.claim"),
    "a context that has no room": ({"acr": "x" * (limits.CONTEXT_CHARS + 1)}, "oidc.claim"),
    "a session id that has no room": ({"sid": "x" * 1025}, "oidc.claim"),
    "too many methods": ({"amr": ["x"] * 21}, "oidc.claim"),
    "a method that has no room": ({"amr": ["x" * 101]}, "oidc.claim"),
    "too many claims": ({f"c{number}": "x" for number in range(limits.OIDC_CLAIMS)}, "oidc.claims"),
    "too many values": ({f"v{number}": ["x"] * 199 for number in range(12)}, "oidc.claims"),
    "too large a value": ({"x": "y" * (limits.OIDC_CLAIM_VALUE_CHARS + 1)}, "oidc.claims"),
    "too large": ({f"c{number}": "x" * 4000 for number in range(7)}, "oidc.too_large"),
    "nested too deep": ({"x": [[[[[[[[1]]]]]]]]}, "oidc.malformed"),
}


@pytest.mark.parametrize(("claims", "code"), FLAWS.values(), ids=FLAWS.keys())
def test_a_flawed_claim_is_refused_with_its_code(refusal_of, claims, code):
    """Times are told from now."""
    now = timezone.now()
    told = {
        name: int((now + value).timestamp()) if isinstance(value, timedelta) else value
        for name, value in claims.items()
    }
    assert refusal_of(claims=told) == (401, code)


def test_an_issuer_that_differs_by_a_slash_is_another(refusal_of, fake_op):
    assert refusal_of(claims={"iss": f"{fake_op.issuer}/"}) == (401, "oidc.issuer")


HEADERS = {
    "algorithm none": ({"alg": "none"}, unsigned, "oidc.algorithm"),
    "algorithm None": ({"alg": "None"}, unsigned, "oidc.algorithm"),
    "no algorithm": ({"alg": ...}, None, "oidc.algorithm"),
    "our secret as key": ({"alg": "HS256"}, hs256(CLIENT_SECRET.encode()), "oidc.algorithm"),
    "their public key as secret": ({"alg": "HS256"}, hs256(b"public"), "oidc.algorithm"),
    "PS256": ({"alg": "PS256"}, ps256(rsa_key(number=7)), "oidc.algorithm"),
    "RS512": ({"alg": "RS512"}, None, "oidc.algorithm"),
    "another algorithm than the key's": ({"alg": "ES256"}, es256(ec_key()), "oidc.algorithm"),
    "another key": ({}, rs256(rsa_key(number=8)), "oidc.signature"),
    "no signature": ({}, unsigned, "oidc.signature"),
    "an unknown kid": ({"kid": "nobody's"}, None, "oidc.key"),
    "no kid": ({"kid": ...}, None, "oidc.key"),
    "an access token": ({"typ": "at+jwt"}, None, "oidc.type"),
    "a logout token": ({"typ": "logout+jwt"}, None, "oidc.type"),
    "a key of its own": ({"jwk": {"kty": "RSA"}}, None, "oidc.header"),
    "an address of its keys": ({"jku": "https://evil.example/jwks"}, None, "oidc.header"),
    "a certificate of its own": ({"x5c": ["x"]}, None, "oidc.header"),
    "something critical": ({"crit": ["b64"], "b64": False}, None, "oidc.header"),
    "compressed": ({"zip": "DEF"}, None, "oidc.header"),
}


@pytest.mark.parametrize(("header", "sign", "code"), HEADERS.values(), ids=HEADERS.keys())
def test_a_flawed_header_or_signature_is_refused_with_its_code(refusal_of, header, sign, code):
    assert refusal_of(header=header, sign=sign) == (401, code)


@pytest.mark.parametrize("token", ["x", "a.b", "a.b.c.d.e", "a.b.c", "é.é.é", f"{b64({'alg': 'none'})}.{b64({})}."])
def test_what_is_no_signed_token_is_refused(refusal_of, token):
    assert refusal_of(tokens={"id_token": token}) == (401, "oidc.malformed")


def test_each_refusal_of_a_jwt_is_one_of_an_id_token_too():
    codes = {refusal.code for refusal in CATALOGUE}
    assert {f"oidc.{code.removeprefix('jwt.')}" for code in codes if code.startswith("jwt.")} <= codes


def test_the_trace_names_what_was_expected_and_what_came(refusal_of, fake_op):
    refusal_of(claims={"iss": "https://evil.example"})
    entries = [entry for hop in read_trace(Trace.objects.get().pk) for entry in hop["entries"]]
    failed = [entry for entry in entries if entry.get("passed") is False]
    assert {(entry["expected"], entry["actual"]) for entry in failed} == {(fake_op.issuer, "https://evil.example")}


def test_checks_that_are_missing_are_no_checks_that_pass():
    assert len(ID_TOKEN_CHECKS) == 5
    with pytest.raises(ValueError, match="no checks"):
        run_checks((), None, trace=Collector(), subject="ID token")


@pytest.mark.parametrize("claims", [{"azp": CLIENT_ID}, {"aud": [CLIENT_ID]}, {"amr": []}, {"at_hash": ...}])
def test_what_honest_providers_do_is_accepted(company, claims):
    assert "code" in answer_of(company.sign_on(Browser(), claims=claims))


def test_an_id_token_of_just_under_the_limit_is_accepted(company):
    groups = [f"3f2504e0-4f89-11d3-9a0c-0305e82c3{number:03}" for number in range(200)]
    large = {"groups": groups, "x": "y" * 4000, "z": "y" * 4000, "w": "y" * 4000}
    assert "code" in answer_of(company.sign_on(Browser(), claims=large))


@pytest.mark.parametrize(("seconds", "passes"), [(-59, True), (59, True), (-120, False), (120, False)])
def test_clocks_may_differ_by_the_skew_of_the_row(company, seconds, passes):
    iat = int(timezone.now().timestamp()) + seconds
    # Of a clock that goes behind, a short-lived token comes in after its end.
    exp = iat + 30 if seconds < 0 else iat + 300
    response = company.sign_on(Browser(), claims={"iat": iat, "exp": exp})
    assert ("Location" in response) is passes


# Keys -----------------------------------------------------------------------------------------------------------------


def test_an_unknown_kid_costs_one_fetch_a_minute_and_is_then_refused(refusal_of, fake_op, company):
    """The first fetch is that of an empty memory."""
    start = timezone.now()
    with time_machine.travel(start, tick=False):
        assert refusal_of(header={"kid": "new"}) == (401, "oidc.key")
    for seconds in (1, 30, 59):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            assert refusal_of(header={"kid": f"new-{seconds}"}) == (401, "oidc.key")
    assert fake_op.count("/jwks") == 1
    with time_machine.travel(start + timedelta(seconds=61), tick=False):
        assert refusal_of(header={"kid": "new"}) == (401, "oidc.key")
    assert fake_op.count("/jwks") == 2


def test_a_key_that_is_published_before_it_signs_is_found(company, fake_op):
    start = timezone.now()
    with time_machine.travel(start, tick=False):
        answer_of(company.sign_on(Browser()))
    fake_op.keys = {"op-2": rsa_key(number=8), **fake_op.keys}
    with time_machine.travel(start + timedelta(seconds=61), tick=False):
        assert "code" in answer_of(company.sign_on(Browser()))


def test_sign_ons_go_on_with_the_last_keys_for_a_day_while_their_address_is_away(company, fake_op):
    start = timezone.now()
    with time_machine.travel(start, tick=False):
        answer_of(company.sign_on(Browser()))
    fake_op.raw["/jwks"] = b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with time_machine.travel(start + limits.REMOTE_KEYS_KEEP - timedelta(minutes=1), tick=False):
        assert "code" in answer_of(company.sign_on(Browser()))
    with time_machine.travel(start + limits.REMOTE_KEYS_KEEP + timedelta(minutes=1), tick=False):
        response = company.sign_on(Browser())
        assert response.status_code == 502
        assert "oidc.keys" in response.content.decode()
    del fake_op.raw["/jwks"]
    with time_machine.travel(start + limits.REMOTE_KEYS_KEEP + timedelta(minutes=3), tick=False):
        assert "code" in answer_of(company.sign_on(Browser()))


def test_a_key_that_is_gone_verifies_nothing_after_five_minutes(company, fake_op):
    start = timezone.now()
    gone = rs256(rsa_key(number=7))
    with time_machine.travel(start, tick=False):
        answer_of(company.sign_on(Browser()))
    fake_op.keys = {"op-2": rsa_key(number=8)}
    with time_machine.travel(start + timedelta(minutes=5), tick=False):
        response = company.sign_on(Browser(), header={"kid": "op-1"}, sign=gone)
        assert (response.status_code, "oidc.key" in response.content.decode()) == (401, True)


def test_a_key_is_used_with_an_algorithm_that_the_provider_announced(fake_op):
    fake_op.document = {"id_token_signing_alg_values_supported": ["ES256"]}
    response = make_openid_company(fake_op).sign_on(Browser())
    assert "oidc.algorithm" in response.content.decode()


def test_one_providers_keys_are_not_anothers(fake_op, company):
    """Their kid is the same; the keys are kept by provider."""
    other = make_openid_company(fake_op, "initech")
    answer_of(company.sign_on(Browser(), ask={"idp_hint": "globex"}))
    fake_op.keys = {"op-1": rsa_key(number=8)}
    answer_of(other.sign_on(Browser(), ask={"idp_hint": "initech"}))
    found = [
        remote_keys(
            str(provider.pk),
            url=f"{fake_op.issuer}/jwks",
            unverified_kid="op-1",
            now=timezone.now(),
            trace=Collector(),
        )[0].public_key.public_numbers()
        for provider in (company.identity_provider, other.identity_provider)
    ]
    assert found[0] != found[1]
