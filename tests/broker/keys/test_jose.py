"""The verifier of JWTs: every hostile token is refused with its code, and honest ones pass."""

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import limits
from broker.errors import BrokerError
from broker.keys import jose
from broker.keys.claim_checks import CLAIM_CHECKS
from broker.keys.jose import ENVELOPE_CHECKS
from broker.keys.values import ABSENT, THUMBPRINTS, Envelope, Expectation, ForeignExpectation
from broker.traces.collector import Collector
from tests.fakes.tokens import b64, ec_key, es256, forge, hs256, ps256, rs256, rsa_key, unsigned

from .conftest import AUDIENCE, ISSUER, NOW

HEADER = {"alg": "RS256", "kid": "rsa", "typ": "at+jwt"}
ROOM = limits.JWT_ID_TOKEN_BYTES
NOW_SECONDS = int(NOW.timestamp())


def refusal(token, expected):
    with pytest.raises(BrokerError) as caught:
        jose.verify(token, expected)
    return caught.value.code


# --- Honest tokens --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("kid", "algorithm", "key"), [("rsa", "RS256", rsa_key()), ("ec", "ES256", ec_key())])
def test_what_we_sign_verifies_to_the_same_claims(kid, algorithm, key, expectation, claims):
    material = jose.signing_material(key, kid=kid, algorithm=algorithm)
    verified = jose.verify(jose.sign(claims(), key=material, typ="at+jwt"), expectation())
    assert dict(verified.claims) == claims()
    assert (verified.issuer, verified.audience, verified.kid, verified.typ) == (
        ISSUER,
        frozenset({AUDIENCE}),
        kid,
        "at+jwt",
    )
    assert verified.expires_at == datetime.fromtimestamp(NOW_SECONDS + 300, tz=UTC)
    assert verified.issued_at == datetime.fromtimestamp(NOW_SECONDS - 60, tz=UTC)


@pytest.mark.parametrize(
    ("header", "signer"), [(HEADER, rs256(rsa_key())), (HEADER | {"alg": "ES256", "kid": "ec"}, es256(ec_key()))]
)
def test_what_another_library_signs_verifies(header, signer, expectation, claims):
    assert jose.verify(forge(header, claims(), signer), expectation()).claims["sub"] == "8b2e"


def test_an_id_token_is_a_plain_jwt(expectation, claims):
    material = jose.signing_material(rsa_key(), kid="rsa", algorithm="RS256")
    token = jose.sign(claims(), key=material, typ=None)
    assert jose.verify(token, expectation(types=frozenset({"JWT", ABSENT}))).typ == "JWT"


def test_a_header_without_typ_passes_only_where_it_is_named(expectation, claims):
    token = forge({"alg": "RS256", "kid": "rsa"}, claims(), rs256(rsa_key()))
    assert jose.verify(token, expectation(types=frozenset({ABSENT}))).typ == ABSENT
    assert refusal(token, expectation()) == "jwt.type"


def test_an_audience_list_is_the_same_set_in_any_order(expectation, claims):
    token = forge(HEADER, claims(aud=["b", "a"]), rs256(rsa_key()))
    assert jose.verify(token, expectation(audience=frozenset({"a", "b"}))).audience == {"a", "b"}


def test_times_may_have_fractions(expectation, claims):
    token = forge(HEADER, claims(iat=NOW_SECONDS - 0.5, exp=NOW_SECONDS + 0.5), rs256(rsa_key()))
    assert jose.verify(token, expectation()).expires_at > NOW


def test_an_unknown_claim_stays_a_claim(expectation, claims):
    token = forge(HEADER, claims(groups=["a", "b"], nested={"x": [1, 2.5, True, None]}), rs256(rsa_key()))
    assert jose.verify(token, expectation()).claims["nested"] == {"x": [1, 2.5, True, None]}


def test_verified_claims_cannot_be_changed(expectation, claims):
    verified = jose.verify(forge(HEADER, claims(), rs256(rsa_key())), expectation())
    with pytest.raises(TypeError):
        verified.claims["sub"] = "another"


# --- Form -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("token", [None, b"a.b.c", 5, ["a"], {}, object()])
def test_what_is_no_text_is_malformed(token, expectation):
    assert refusal(token, expectation()) == "jwt.malformed"


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a",
        "a.b",
        "a.b.c.d",
        "a.b.c.d.e",
        "a..c",
        ".b.c",
        "a.b.",
        "a b.c.d",
        "a.b.c\n",
        "\na.b.c",
        "ä.b.c",
        "a.b.\u0661",
        "a.b.c\x00",
        "a+b.c.d",
        "a/b.c.d",
        "Bearer a.b.c",
        '{"payload":"","signatures":[]}',
    ],
)
def test_what_is_not_three_segments_of_base64url_is_malformed(token, expectation):
    assert refusal(token, expectation()) == "jwt.malformed"


def test_no_segment_may_be_padded(expectation, claims):
    good = forge(HEADER, claims(), rs256(rsa_key()))
    head, body, signature = good.split(".")
    for changed in (f"{head}=.{body}.{signature}", f"{head}.{body}=.{signature}", f"{good}=", f"{good}=="):
        assert refusal(changed, expectation()) == "jwt.malformed"


def test_a_token_has_one_spelling(expectation, claims):
    """The last letter of base64 has bits that decode to nothing: 256 bytes of signature leave four of them."""
    good = forge(HEADER, claims(), rs256(rsa_key()))
    twins = [good[:-1] + letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"]
    passed = []
    for twin in twins:
        try:
            jose.verify(twin, expectation())
            passed.append(twin)
        except BrokerError:
            continue
    assert passed == [good]


def test_a_token_of_the_greatest_size_passes_and_one_letter_more_is_too_large(expectation, claims):
    token = forge(HEADER, claims(padding="x" * 5000), rs256(rsa_key()))
    assert jose.verify(token, expectation(max_bytes=len(token)))
    assert refusal(token, expectation(max_bytes=len(token) - 1)) == "jwt.too_large"


def test_a_huge_token_is_refused_before_it_is_read(expectation):
    assert refusal("a." * 10_000_000, expectation()) == "jwt.too_large"


# --- JSON -----------------------------------------------------------------------------------------------------------
BROKEN_JSON = {
    "empty": b" ",
    "no json": b"{",
    "array": b"[]",
    "text": b'"a"',
    "number": b"5",
    "null": b"null",
    "two objects": b"{}{}",
    "not utf-8": b'{"a":"\xff"}',
    "utf-16": '{"a":1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "single quotes": b"{'a':1}",
    "comment": b'{"a":1/*x*/}',
    "trailing comma": b'{"a":1,}',
    "line break in text": b'{"a":"x\ny"}',
    "twins": b'{"a":1,"a":1}',
    "escaped twins": b'{"a":1,"\\u0061":2}',
    "twins inside": b'{"a":{"b":1,"b":2}}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}',
    "1e999": b'{"a":1e999}',
    "-1e999": b'{"a":-1e999}',
    "long integer": b'{"a":' + b"9" * 5000 + b"}",
    "deep objects": b'{"a":' * 9 + b"1" + b"}" * 9,
    "deep arrays": b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}",
    "unclosed": b"[" * 6000,
    "quotes without end": b'"\\' * 11_000,
    "half a surrogate pair": b'{"a":"\\ud800"}',
    "half a surrogate pair as a name": b'{"\\udfff":1}',
    "NUL": b'{"a":"\\u0000"}',
}


@pytest.mark.parametrize("raw", BROKEN_JSON.values(), ids=BROKEN_JSON.keys())
def test_claims_in_broken_json_are_malformed_though_signed(raw, expectation):
    assert refusal(forge(HEADER, raw, rs256(rsa_key())), expectation(max_bytes=ROOM)) == "jwt.malformed"


@pytest.mark.parametrize("raw", BROKEN_JSON.values(), ids=BROKEN_JSON.keys())
def test_a_header_in_broken_json_is_malformed(raw, expectation, claims):
    assert refusal(forge(raw, claims(), rs256(rsa_key())), expectation(max_bytes=ROOM)) == "jwt.malformed"


def test_the_depth_of_the_limit_passes_and_brackets_in_texts_do_not_count(expectation, claims):
    deep = "[" * (limits.JWT_JSON_DEPTH - 1) + "]" * (limits.JWT_JSON_DEPTH - 1)
    text = json.dumps(claims(text='[[[[[[[[["{{{{{'))[:-1] + f', "deep": {deep}}}'
    assert jose.verify(forge(HEADER, text, rs256(rsa_key())), expectation())


# --- Header ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "member",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"b64": False},
        {"b64": False, "crit": ["b64"]},
        {"zip": "DEF"},
        {"enc": "A128GCM"},
        {"jku": "https://attacker.example/jwks"},
        {"x5u": "https://attacker.example/cert"},
        {"x5c": ["MIIB"]},
        {"jwk": {"kty": "oct", "k": "c2VjcmV0"}},
        {"cty": "JWT"},
        {"KID": "rsa"},
        {"": ""},
    ],
)
def test_a_header_member_that_we_do_not_know_is_refused(member, expectation, claims):
    assert refusal(forge(HEADER | member, claims(), rs256(rsa_key())), expectation()) == "jwt.header"


@pytest.mark.parametrize("value", [None, 5, True, ["rsa"], {"kid": "rsa"}])
@pytest.mark.parametrize("name", ["kid", "typ"])
def test_a_header_member_that_is_no_text_is_refused(name, value, expectation, claims):
    assert refusal(forge(HEADER | {name: value}, claims(), rs256(rsa_key())), expectation()) == "jwt.header"


@pytest.mark.parametrize("typ", ["", "JWT", "at+JWT", "AT+JWT", "application/at+jwt", "logout+jwt", "at+jwt "])
def test_a_token_of_another_type_is_refused(typ, expectation, claims):
    token = forge(HEADER | {"typ": typ}, claims(), rs256(rsa_key()))
    assert refusal(token, expectation()) == "jwt.type"


def test_an_id_token_is_no_access_token_nor_the_other_way_round(expectation, claims):
    material = jose.signing_material(rsa_key(), kid="rsa", algorithm="RS256")
    id_token, access_token = (jose.sign(claims(), key=material, typ=typ) for typ in (None, "at+jwt"))
    assert refusal(id_token, expectation()) == "jwt.type"
    assert refusal(access_token, expectation(types=frozenset({"JWT", ABSENT}))) == "jwt.type"


# --- Keys -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kid", ["", "unknown", "RSA", "rsa ", "../rsa"])
def test_a_kid_that_we_do_not_know_is_refused(kid, expectation, claims):
    assert refusal(forge(HEADER | {"kid": kid}, claims(), rs256(rsa_key())), expectation()) == "jwt.key"


def test_a_token_without_kid_is_refused_though_a_key_would_fit(expectation, claims):
    assert refusal(forge({"alg": "RS256", "typ": "at+jwt"}, claims(), rs256(rsa_key())), expectation()) == "jwt.key"


def test_a_key_for_encryption_verifies_nothing(expectation, claims):
    token = forge(HEADER | {"kid": "sealing"}, claims(), rs256(rsa_key(number=1)))
    assert refusal(token, expectation()) == "jwt.key"


def test_a_kid_of_two_keys_names_none(expectation, claims):
    key = expectation().keys[0]
    token = forge(HEADER, claims(), rs256(rsa_key()))
    assert refusal(token, expectation(keys=(key, key))) == "jwt.key"


def test_an_empty_key_set_verifies_nothing(expectation, claims):
    assert refusal(forge(HEADER, claims(), rs256(rsa_key())), expectation(keys=())) == "jwt.key"


def test_only_the_named_key_is_tried(expectation, claims):
    other = jose.verification_key(rsa_key(number=1).public_key(), kid="other", algorithm="RS256", use="sig")
    token = forge(HEADER, claims(), rs256(rsa_key(number=1)))
    assert refusal(token, expectation(keys=(*expectation().keys, other))) == "jwt.signature"


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (rsa_key(1024), "RS256"),
        (ec_key(ec.SECP384R1), "ES256"),
        (ec_key(ec.SECP256K1), "ES256"),
        (ec_key(), "RS256"),
        (rsa_key(), "ES256"),
        (rsa_key(), "RS384"),
        (rsa_key(), "PS256"),
        (rsa_key(), "HS256"),
        (rsa_key(), "none"),
        (rsa_key(), ""),
    ],
)
def test_a_weak_or_unfitting_key_is_never_opened(key, algorithm):
    with pytest.raises(ValueError, match="does not fit"):
        jose.verification_key(key.public_key(), kid="k", algorithm=algorithm, use="sig")
    with pytest.raises(ValueError, match="does not fit"):
        jose.signing_material(key, kid="k", algorithm=algorithm)


# --- Signature ------------------------------------------------------------------------------------------------------
def test_every_changed_byte_of_a_token_breaks_it(expectation, claims):
    good = forge(HEADER, claims(), rs256(rsa_key()))
    for position in range(0, len(good), 7):
        if good[position] != ".":
            changed = good[:position] + ("A" if good[position] != "A" else "B") + good[position + 1 :]
            with pytest.raises(BrokerError):
                jose.verify(changed, expectation())


@pytest.mark.parametrize(
    "signer",
    [rs256(rsa_key(number=1)), ps256(rsa_key()), unsigned, lambda signed: b"\x00" * 256, lambda signed: b"\xff" * 300],
    ids=["another key", "PSS", "one byte", "zeros", "too long"],
)
def test_a_signature_that_does_not_hold_is_refused(signer, expectation, claims):
    assert refusal(forge(HEADER, claims(), signer), expectation()) == "jwt.signature"


@pytest.mark.parametrize("size", [0, 32, 63, 65, 128])
def test_an_elliptic_signature_of_another_length_is_refused(size, expectation, claims):
    header = HEADER | {"alg": "ES256", "kid": "ec"}
    token = forge(header, claims(), lambda signed: b"\x00" * size)
    assert refusal(token, expectation()) == ("jwt.malformed" if size == 0 else "jwt.signature")


def test_the_zero_signature_is_no_signature(expectation, claims):
    """CVE-2022-21449: r = s = 0 passed elsewhere."""
    token = forge(HEADER | {"alg": "ES256", "kid": "ec"}, claims(), lambda signed: b"\x00" * 64)
    assert refusal(token, expectation()) == "jwt.signature"


# --- Claims ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "sub", "client_id", "jti"])
def test_a_missing_claim_is_refused(name, expectation, claims):
    assert refusal(forge(HEADER, claims(**{name: ...}), rs256(rsa_key())), expectation()) == "jwt.claim"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, None) for name in ("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "nonce", "scope")),
        *((name, "") for name in ("iss", "sub", "aud", "jti", "client_id", "nonce", "azp", "at_hash")),
        *((name, 5) for name in ("iss", "sub", "aud", "jti", "client_id", "scope")),
        *((name, str(NOW_SECONDS + 60)) for name in ("exp", "iat", "nbf", "auth_time")),
        *((name, True) for name in ("exp", "iat", "nbf", "sub")),
        *((name, -1) for name in ("exp", "iat", "nbf")),
        ("exp", 1e308),
        ("exp", 253402300800),
        ("exp", [NOW_SECONDS + 60]),
        ("exp", {}),
        ("iat", {}),
        ("iss", [ISSUER]),
        ("sub", ["8b2e"]),
        ("sub", {"id": "8b2e"}),
        ("aud", []),
        ("aud", [AUDIENCE, 5]),
        ("aud", [AUDIENCE, None]),
        ("aud", [AUDIENCE, ""]),
        ("aud", [[AUDIENCE]]),
        ("aud", {AUDIENCE: True}),
        ("amr", "pwd"),
        ("amr", [5]),
    ],
)
def test_a_claim_of_another_form_is_refused(name, value, expectation, claims):
    assert refusal(forge(HEADER, claims(**{name: value}), rs256(rsa_key())), expectation()) == "jwt.claim"


@pytest.mark.parametrize("issuer", [ISSUER + "/", ISSUER.upper(), "https://attacker.example", ISSUER + " ", "*"])
def test_another_issuer_is_refused(issuer, expectation, claims):
    assert refusal(forge(HEADER, claims(iss=issuer), rs256(rsa_key())), expectation()) == "jwt.issuer"


@pytest.mark.parametrize(
    "audience",
    ["https://other.example", AUDIENCE + "/", [AUDIENCE, "https://other.example"], ["https://other.example"], "*"],
)
def test_another_audience_or_one_more_is_refused(audience, expectation, claims):
    assert refusal(forge(HEADER, claims(aud=audience), rs256(rsa_key())), expectation()) == "jwt.audience"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": NOW_SECONDS}, "jwt.expired"),
        ({"exp": NOW_SECONDS - 1}, "jwt.expired"),
        ({"exp": 0, "iat": 0}, "jwt.expired"),
        ({"iat": NOW_SECONDS + 6}, "jwt.lifetime"),
        ({"nbf": NOW_SECONDS + 6}, "jwt.lifetime"),
        ({"iat": NOW_SECONDS + 3, "exp": NOW_SECONDS + 2}, "jwt.lifetime"),
        ({"iat": NOW_SECONDS + 3, "exp": NOW_SECONDS + 3}, "jwt.lifetime"),
        ({"exp": NOW_SECONDS - 60 + 601}, "jwt.lifetime"),
        ({"exp": NOW_SECONDS + 10 * 365 * 86400}, "jwt.lifetime"),
        ({"iat": NOW_SECONDS - 601, "exp": NOW_SECONDS + 1}, "jwt.lifetime"),
    ],
)
def test_times_that_do_not_fit_are_refused(changes, code, expectation, claims):
    assert refusal(forge(HEADER, claims(**changes), rs256(rsa_key())), expectation()) == code


def test_an_old_token_is_refused_though_it_lives_on(expectation, claims):
    token = forge(HEADER, claims(iat=NOW_SECONDS - 601, exp=NOW_SECONDS + 60), rs256(rsa_key()))
    expected = expectation(greatest_lifetime=timedelta(days=1))
    assert refusal(token, expected) == "jwt.expired"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW_SECONDS + 1},
        {"iat": NOW_SECONDS + 5},
        {"nbf": NOW_SECONDS + 5},
        {"iat": NOW_SECONDS - 300, "exp": NOW_SECONDS + 300},
        {"iat": NOW_SECONDS - 599, "exp": NOW_SECONDS + 1},
    ],
)
def test_times_at_the_edge_pass(changes, expectation, claims):
    assert jose.verify(forge(HEADER, claims(**changes), rs256(rsa_key())), expectation())


def test_an_ended_token_passes_for_as_long_as_the_expectation_says(expectation, claims):
    token = forge(HEADER, claims(exp=NOW_SECONDS - 30), rs256(rsa_key()))
    assert jose.verify(token, expectation(after_expiry=timedelta(seconds=31)))
    assert refusal(token, expectation(after_expiry=timedelta(seconds=30))) == "jwt.expired"


def test_an_end_at_the_end_of_all_dates_is_refused_like_any_other_that_is_too_late(expectation, claims):
    token = forge(HEADER, claims(exp=253_402_300_799), rs256(rsa_key()))
    assert refusal(token, expectation(after_expiry=timedelta(seconds=60))) == "jwt.lifetime"


@pytest.mark.parametrize("member", sorted(THUMBPRINTS))
def test_only_a_foreign_token_may_name_its_key_by_thumbprint_too(member, expectation, claims):
    ours = expectation()
    foreign = ForeignExpectation(**{field.name: getattr(ours, field.name) for field in fields(Expectation)})
    token = forge(HEADER | {member: "dGh1bWI"}, claims(), rs256(rsa_key()))
    assert refusal(token, ours) == "jwt.header"
    assert jose.verify(token, foreign).claims["sub"] == "8b2e"
    assert refusal(forge(HEADER | {member: ["dGh1bWI"]}, claims(), rs256(rsa_key())), foreign) == "jwt.header"


@pytest.mark.parametrize("member", ["crit", "b64", "zip", "jwk", "jku", "x5u", "x5c", "enc", "p2c"])
def test_nothing_else_in_a_foreign_header_is_tolerated(member, expectation, claims):
    ours = expectation()
    foreign = ForeignExpectation(**{field.name: getattr(ours, field.name) for field in fields(Expectation)})
    assert refusal(forge(HEADER | {member: "x"}, claims(), rs256(rsa_key())), foreign) == "jwt.header"


def test_the_kid_of_a_foreign_token_is_read_unverified_and_within_bounds(claims):
    token = forge(HEADER | {"x5t": "x"}, claims(), unsigned)
    assert jose.unverified_kid(token, max_bytes=ROOM) == "rsa"
    assert jose.unverified_kid(forge({"alg": "RS256"}, claims(), unsigned), max_bytes=ROOM) == ""
    for hostile in ("x", "a.b.c", "a" * (ROOM + 1), forge({"kid": 5}, claims(), unsigned)):
        with pytest.raises(BrokerError):
            jose.unverified_kid(hostile, max_bytes=ROOM)


# --- The expectation itself -----------------------------------------------------------------------------------------
def test_nothing_of_an_expectation_may_be_left_out(expectation):
    complete = {field.name: getattr(expectation(), field.name) for field in fields(Expectation)}
    assert len(complete) == 11
    for name in complete:
        with pytest.raises(TypeError):
            Expectation(**{key: value for key, value in complete.items() if key != name})


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": ""},
        {"audience": frozenset()},
        {"audience": frozenset({""})},
        {"types": frozenset()},
        {"max_bytes": 0},
        {"now": NOW.replace(tzinfo=None)},
    ],
)
def test_an_expectation_that_would_check_nothing_cannot_be_made(changes, expectation):
    with pytest.raises(ValueError):
        expectation(**changes)


def test_every_check_is_a_named_function_with_a_reason():
    for check in (*ENVELOPE_CHECKS, *CLAIM_CHECKS):
        assert check.__name__.startswith("check_")
        assert check.__doc__


def test_a_trace_gets_every_check_and_the_one_that_failed(expectation, claims):
    collector = Collector()
    jose.verify(forge(HEADER, claims(), rs256(rsa_key())), expectation(), collector=collector)
    assert [entry["name"] for entry in collector.entries] == [
        f"jwt.{check.__name__}" for check in (*ENVELOPE_CHECKS, *CLAIM_CHECKS)
    ]
    assert all(entry["passed"] for entry in collector.entries)
    collector = Collector()
    with pytest.raises(BrokerError):
        jose.verify(forge(HEADER, claims(aud="x"), rs256(rsa_key())), expectation(), collector=collector)
    last = collector.entries[-1]
    assert (last["name"], last["passed"], last["expected"], last["actual"]) == (
        "jwt.check_audience",
        False,
        AUDIENCE,
        "x",
    )


# --- Bytes, and the unverified audience -----------------------------------------------------------------------------
def test_signed_bytes_come_back_and_are_no_token(expectation):
    material = jose.signing_material(ec_key(), kid="ec", algorithm="ES256")
    message = jose.sign(b"any bytes", key=material, typ="seal")
    envelope = Envelope(keys=expectation().keys, types=frozenset({"seal"}), max_bytes=1000)
    assert jose.verify_bytes(message, envelope) == b"any bytes"
    assert refusal(message, expectation()) == "jwt.type"
    with pytest.raises(BrokerError) as caught:
        jose.verify_bytes(message[:-4] + "AAAA", envelope)
    assert caught.value.code == "jwt.signature"


def test_the_unverified_audience_is_read_from_any_token(claims):
    token = forge({"alg": "none"}, claims(aud=["a", "b"]), unsigned)
    assert jose.unverified_audience(token, max_bytes=1000) == {"a", "b"}


@pytest.mark.parametrize("aud", [..., None, 5, [], [5], [None, "a"], {}, ""])
def test_an_unverified_audience_of_another_form_is_refused(aud, claims):
    with pytest.raises(BrokerError) as caught:
        jose.unverified_audience(forge({"alg": "none"}, claims(aud=aud), unsigned), max_bytes=1000)
    assert caught.value.code == "jwt.claim"


def test_the_unverified_issuer_is_read_from_any_token(claims):
    assert jose.unverified_issuer(forge({"alg": "none"}, claims(iss="i"), unsigned), max_bytes=1000) == "i"


@pytest.mark.parametrize("iss", [..., None, 5, ["i"], {}, ""])
def test_an_unverified_issuer_of_another_form_is_refused(iss, claims):
    with pytest.raises(BrokerError) as caught:
        jose.unverified_issuer(forge({"alg": "none"}, claims(iss=iss), unsigned), max_bytes=1000)
    assert caught.value.code == "jwt.claim"


@pytest.mark.parametrize("read", [jose.unverified_audience, jose.unverified_issuer])
@pytest.mark.parametrize(
    ("token", "code"),
    [("a.b", "jwt.malformed"), (f"e30.{b64(b'[]')}.e30", "jwt.malformed"), ("x" * 99, "jwt.too_large")],
)
def test_unverified_claims_of_a_broken_token_are_refused(read, token, code):
    with pytest.raises(BrokerError) as caught:
        read(token, max_bytes=98)
    assert caught.value.code == code


# --- Whatever comes -------------------------------------------------------------------------------------------------
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)  # a busy machine is no failure
@given(token=st.text(max_size=200) | st.from_regex(r"[\w=-]*\.[\w=-]*\.[\w=-]*", fullmatch=True))
def test_no_text_raises_anything_but_a_refusal(token):
    with pytest.raises(BrokerError):
        jose.verify(token, PLAIN)


@settings(deadline=None)  # a busy machine is no failure
@given(header=JSON, payload=JSON)
def test_no_header_and_no_claims_raise_anything_but_a_refusal(header, payload):
    with pytest.raises(BrokerError):
        jose.verify(forge(json.dumps(header), json.dumps(payload), unsigned), PLAIN)


@settings(deadline=None)  # a busy machine is no failure
@given(changes=st.dictionaries(st.sampled_from(["iss", "aud", "exp", "iat", "nbf", "sub", "amr", "scope"]), JSON))
def test_no_signed_claims_raise_anything_but_a_refusal(changes):
    payload = {"iss": ISSUER, "aud": AUDIENCE, "iat": NOW_SECONDS, "exp": NOW_SECONDS + 60, "sub": "x"} | changes
    try:
        verified = jose.verify(forge(HEADER, json.dumps(payload), rs256(rsa_key())), PLAIN)
    except BrokerError:
        return
    assert verified.claims["iss"] == ISSUER
    assert verified.audience == {AUDIENCE}


PLAIN = Expectation(
    keys=(jose.verification_key(rsa_key().public_key(), kid="rsa", algorithm="RS256", use="sig"),),
    types=frozenset({"at+jwt"}),
    max_bytes=limits.JWT_ID_TOKEN_BYTES,
    issuer=ISSUER,
    audience=frozenset({AUDIENCE}),
    greatest_age=timedelta(minutes=10),
    greatest_lifetime=timedelta(minutes=10),
    skew=timedelta(seconds=5),
    after_expiry=timedelta(0),
    required=frozenset(),
    now=NOW,
)


def test_public_keys_are_published_without_private_members():
    for key, algorithm in ((rsa_key(), "RS256"), (ec_key(), "ES256")):
        made = jose.public_jwk(jose.verification_key(key.public_key(), kid="k", algorithm=algorithm, use="sig"))
        assert made.keys() & {"d", "p", "q", "dp", "dq", "qi", "k"} == set()
        assert (made["kid"], made["use"], made["alg"]) == ("k", "sig", algorithm)


def test_a_key_never_shows_itself_in_a_log():
    material = jose.signing_material(rsa_key(), kid="k", algorithm="RS256")
    assert repr(material) == "SigningMaterial(kid='k', algorithm='RS256')"


def test_the_public_key_as_an_hmac_secret_signs_nothing(expectation, claims):
    secret = rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert refusal(forge(HEADER, claims(), hs256(secret)), expectation()) == "jwt.signature"
