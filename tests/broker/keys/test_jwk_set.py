"""Reading foreign key sets: an odd key is left out and named, and a set without a usable one is refused."""

import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import limits
from broker.keys.jwk_set import JwkSet, open_jwk, read_jwk_set
from tests.fakes.fake_op import public_jwk
from tests.fakes.tokens import b64, ec_key, rsa_key

GOOD = public_jwk(rsa_key(), "good")


def read(*keys: Any) -> JwkSet:
    return read_jwk_set(json.dumps({"keys": keys}).encode())


def test_keys_of_both_kinds_are_kept_with_their_public_members_alone():
    found = read(GOOD | {"x5c": ["x"], "issuer": "x"}, public_jwk(ec_key(), "curve"))
    assert [sorted(key) for key in found.keys] == [
        ["alg", "e", "kid", "kty", "n"],
        ["alg", "crv", "kid", "kty", "x", "y"],
    ]
    assert found.oddities == ()
    opened = [open_jwk(key) for key in found.keys]
    assert [(key.kid, key.algorithm, key.use) for key in opened] == [
        ("good", "RS256", "sig"),
        ("curve", "ES256", "sig"),
    ]
    assert opened[0].public_key.public_numbers() == rsa_key().public_key().public_numbers()


def test_a_key_that_does_not_name_use_or_algorithm_is_taken_for_the_usual_ones():
    bare = {name: value for name, value in GOOD.items() if name not in {"use", "alg"}}
    assert read(bare).keys == read(GOOD).keys


def test_the_same_key_twice_is_one_and_the_same_kid_twice_is_two():
    assert len(read(GOOD, GOOD).keys) == 1
    assert len(read(GOOD, public_jwk(rsa_key(number=1), "good")).keys) == 2


ODD = {
    "no object": "key",
    "a number": 5,
    "an octet key": {"kty": "oct", "kid": "k", "k": "AAAA"},
    "Ed25519": {"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "AAAA"},
    "no kind": GOOD | {"kty": None},
    "a kind in small letters": GOOD | {"kty": "rsa"},
    "a list as kind": GOOD | {"kty": []},
    "no kid": {name: value for name, value in GOOD.items() if name != "kid"},
    "an empty kid": GOOD | {"kid": ""},
    "a number as kid": GOOD | {"kid": 1},
    "a long kid": GOOD | {"kid": "k" * 300},
    "for encryption": GOOD | {"use": "enc"},
    "for signing alone": GOOD | {"key_ops": ["sign"]},
    "operations that are a number": GOOD | {"key_ops": 5},
    "PS256": GOOD | {"alg": "PS256"},
    "RS512": GOOD | {"alg": "RS512"},
    "HS256": GOOD | {"alg": "HS256"},
    "none": GOOD | {"alg": "none"},
    "an algorithm of the other kind": GOOD | {"alg": "ES256"},
    "no modulus": GOOD | {"n": None},
    "a list as modulus": GOOD | {"n": ["AQAB"]},
    "no base64": GOOD | {"n": "é!"},
    "a weak key": public_jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024), "k"),
    "a huge modulus": GOOD | {"n": "_" * 20_000},
    "a huge exponent": GOOD | {"e": "_" * 400},
    "an even exponent": GOOD | {"e": b64(b"\x01\x00\x00")},
    "exponent 1": GOOD | {"e": "AQ"},
    "P-384": public_jwk(ec_key(), "k", crv="P-384"),
    "a point off the curve": public_jwk(ec_key(), "k", x="AQAB"),
    "a coordinate of another curve": public_jwk(ec_key(), "k", x=b64(b"\xff" * 48)),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_an_odd_key_is_left_out_and_does_not_spoil_the_others(odd):
    found = read(odd, GOOD)
    assert [key["kid"] for key in found.keys] == ["good"]
    assert len(found.oddities) == 1
    assert found.oddities[0].startswith("key 0 is left out: ")
    with pytest.raises(ValueError, match="no usable key among 1"):
        read(odd)


def test_of_ten_thousand_keys_the_first_hundred_are_looked_at():
    # As many as half a megabyte holds.
    many = [{"kid": str(number)} for number in range(10_000)]
    began = time.process_time()
    found = read(GOOD, *many)
    assert time.process_time() - began < 5
    assert len(found.keys) == 1
    assert found.oddities[-1] == f"only the first {limits.REMOTE_KEYS} of 10001 keys were looked at"
    with pytest.raises(ValueError, match="no usable key"):
        read(*many[: limits.REMOTE_KEYS], GOOD)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": null}', b'{"keys": []}', b"<html>", b'{"keys": [], "keys": []}'],
)
def test_what_is_no_set_is_refused(raw):
    with pytest.raises(ValueError, match=r"."):
        read_jwk_set(raw)


# NUL and halves of surrogate pairs are refused with the whole document.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(["kty", "kid", "use", "alg", "n", "e", "key_ops", "crv", "x"]), JSON))
def test_no_key_whatever_it_is_breaks_the_reading_of_the_others(changes):
    found = read(GOOD | changes, public_jwk(rsa_key(number=1), "other"))
    assert "other" in [key["kid"] for key in found.keys]
