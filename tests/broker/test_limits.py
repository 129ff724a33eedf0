"""Each row of the table of limits: what is at the limit passes, what is above it does not."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from broker import limits, outgoing
from broker.errors import BrokerError
from broker.keys import jose
from broker.keys.services import RSA_BITS
from broker.keys.strict_json import NotStrictJson, read_object
from broker.keys.values import Expectation
from tests.fakes.server import serving, trickling
from tests.fakes.tokens import forge, rs256, rsa_key

NOW = datetime(2026, 3, 1, tzinfo=UTC)


# --- JWTs -----------------------------------------------------------------------------------------------------------
def verify(claims, *, max_bytes):
    now = int(NOW.timestamp())
    payload = {"iss": "i", "aud": "a", "iat": now, "exp": now + 60} | claims
    token = forge({"alg": "RS256", "kid": "k", "typ": "JWT"}, payload, rs256(rsa_key()))
    expectation = Expectation(
        keys=(jose.verification_key(rsa_key().public_key(), kid="k", algorithm="RS256", use="sig"),),
        types=frozenset({"JWT"}),
        max_bytes=max_bytes,
        issuer="i",
        audience=frozenset({"a"}),
        greatest_age=timedelta(minutes=1),
        greatest_lifetime=timedelta(minutes=1),
        skew=timedelta(0),
        after_expiry=timedelta(0),
        required=frozenset(),
        now=NOW,
    )
    jose.verify(token, expectation)
    return len(token)


@pytest.mark.parametrize("limit", [limits.JWT_BEARER_BYTES, limits.JWT_ID_TOKEN_BYTES])
def test_jwt_bearer_bytes_and_jwt_id_token_bytes(limit):
    # Three bytes of claims are four letters of token; the rest of this token is less than 600.
    assert verify({"x": "y" * ((limit - 600) // 4 * 3)}, max_bytes=limit) > limit - 600
    with pytest.raises(BrokerError) as caught:
        verify({"x": "y" * (limit // 4 * 3)}, max_bytes=limit)
    assert caught.value.code == "jwt.too_large"


def test_jwt_id_token_bytes_has_room_for_two_hundred_group_ids():
    groups = [f"3f2504e0-4f89-11d3-9a0c-0305e82c3{number:03}" for number in range(200)]
    assert verify({"groups": groups}, max_bytes=limits.JWT_ID_TOKEN_BYTES) > limits.JWT_BEARER_BYTES


def test_jwt_json_depth():
    def nested(depth):
        return json.dumps({"a": 1}).replace("1", "[" * (depth - 1) + "]" * (depth - 1)).encode()

    assert read_object(nested(limits.JWT_JSON_DEPTH))
    with pytest.raises(NotStrictJson):
        read_object(nested(limits.JWT_JSON_DEPTH + 1))


def test_rsa_bits_min():
    assert RSA_BITS >= limits.RSA_BITS_MIN >= 2048
    assert jose.signing_material(rsa_key(limits.RSA_BITS_MIN), kid="k", algorithm="RS256")
    weak = rsa.generate_private_key(public_exponent=65537, key_size=limits.RSA_BITS_MIN - 8)
    with pytest.raises(ValueError, match="does not fit"):
        jose.signing_material(weak, kid="k", algorithm="RS256")


# --- Keys. Their lives are walked through in tests/broker/keys/test_services.py -------------------------------------
def test_key_announce_is_longer_than_anybody_remembers_older_keys():
    assert limits.KEY_ANNOUNCE > limits.KEY_POLL_INTERVAL + limits.JWKS_MAX_AGE


def test_key_retire_and_key_retire_encryption_are_longer_than_what_the_key_made():
    assert max(limits.ACCESS_TOKEN_LIFETIME, limits.ID_TOKEN_LIFETIME) <= limits.KEY_RETIRE
    assert limits.KEY_RETIRE <= limits.KEY_RETIRE_ENCRYPTION


# --- Outgoing requests ----------------------------------------------------------------------------------------------
def fetch_slowly(settings, **caps):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    endless = trickling(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x" * 65536, pause=0.01, pieces=2000)
    with serving(endless) as server, pytest.raises(BrokerError) as caught:
        outgoing.fetch(f"http://127.0.0.1:{server.port}/", purpose="limits", accept="*/*", **caps)
    return caught.value.detail


def test_outgoing_json_bytes(settings):
    assert limits.OUTGOING_JSON_BYTES == 512 * 1024
    assert "too large" in fetch_slowly(settings, max_bytes=limits.OUTGOING_JSON_BYTES)


def test_outgoing_total_seconds(settings):
    defaults = outgoing.fetch.__kwdefaults__
    assert defaults["total_seconds"] == limits.OUTGOING_TOTAL_SECONDS <= 20
    began = time.monotonic()
    assert "Timeout" in fetch_slowly(settings, max_bytes=10**9, total_seconds=0.2)
    assert time.monotonic() - began < 5


def test_outgoing_connect_seconds():
    defaults = outgoing.fetch.__kwdefaults__
    assert defaults["connect_seconds"] == limits.OUTGOING_CONNECT_SECONDS <= 5
    assert limits.OUTGOING_CONNECT_SECONDS < limits.OUTGOING_TOTAL_SECONDS
