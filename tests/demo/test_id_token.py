"""The demonstration's applications accept an ID token only after every check."""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from demo.id_token import CHECKED, CHECKS, Expectation, IDTokenRefused, verify_id_token
from tests.fakes.saml_keys import key_pair

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
AT_HASH = base64.urlsafe_b64encode(hashlib.sha256(b"access").digest()[:16]).rstrip(b"=").decode()
CLAIMS: dict[str, Any] = {
    "iss": "http://localhost:8000",
    "aud": "crm",
    "sub": "1f0c",
    "exp": SECONDS + 600,
    "iat": SECONDS,
    "nonce": "n",
    "at_hash": AT_HASH,
}


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwk(name: str = "token", **members: Any) -> dict[str, Any]:
    numbers = key_pair(name).rsa.public_key().public_numbers()
    parts = {"e": numbers.e.to_bytes(3, "big"), "n": numbers.n.to_bytes(256, "big")}
    return {"kty": "RSA", "kid": "k1", "use": "sig", **{k: encode(v) for k, v in parts.items()}, **members}


def token(*, key: str = "token", header: dict[str, Any] | None = None, **changes: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    parts = ({"alg": "RS256", "kid": "k1"} | (header or {}), claims)
    signed = ".".join(encode(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{encode(key_pair(key).rsa.sign(signed.encode(), PKCS1v15(), hashes.SHA256()))}"


def verify(raw: str, *, keys: tuple[dict[str, Any], ...] | None = None, nonce: str | None = "n") -> dict[str, Any]:
    keys = keys if keys is not None else (jwk(),)
    return verify_id_token(raw, Expectation("http://localhost:8000", "crm", nonce, "access", keys, NOW))


def test_a_token_in_order_is_accepted() -> None:
    assert verify(token()) == CLAIMS
    assert verify(token(aud=["crm"]))["sub"] == "1f0c"
    assert verify(token(nonce=None), nonce=None)["sub"] == "1f0c"


def test_every_check_is_named_on_the_page() -> None:
    assert len(CHECKED) == len(CHECKS)


@pytest.mark.parametrize(
    "make",
    [
        lambda: token(key="another"),
        lambda: token(header={"alg": "none"}),
        lambda: token(header={"alg": "HS256"}),
        lambda: token(header={"kid": "k2"}),
        lambda: token(header={"crit": ["exp"]}),
        lambda: token(iss="http://localhost:8001"),
        lambda: token(iss=None),
        lambda: token(aud="hr"),
        lambda: token(aud=["crm", "hr"]),
        lambda: token(aud=None),
        lambda: token(azp="hr"),
        lambda: token(exp=SECONDS - 31),
        lambda: token(exp=None),
        lambda: token(exp=str(SECONDS + 600)),
        lambda: token(iat=SECONDS + 31),
        lambda: token(iat=SECONDS - 601),
        lambda: token(nonce="m"),
        lambda: token(nonce=None),
        lambda: token(at_hash="AAAA"),
        lambda: token(at_hash=None),
        lambda: token(sub=None),
        lambda: token(sub=""),
        lambda: token()[:-4] + "AAAA",
        lambda: token().rpartition(".")[0] + ".",
        lambda: "a.b",
        lambda: "",
    ],
)
def test_a_token_that_is_not_in_order_is_refused(make: Callable[[], str]) -> None:
    with pytest.raises(IDTokenRefused):
        verify(make())


@pytest.mark.parametrize("keys", [(), (jwk(use="enc"),), (jwk(), jwk()), (jwk(kty="EC"),)])
def test_exactly_one_published_key_must_fit(keys: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(IDTokenRefused, match="key"):
        verify(token(), keys=keys)
