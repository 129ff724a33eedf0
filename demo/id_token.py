"""ID tokens, verified (OpenID Connect Core 3.1.3.7) with nothing but `cryptography`."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

ALGORITHM = "RS256"
SKEW_SECONDS = 30
GREATEST_AGE_SECONDS = 600


class IDTokenRefused(Exception):
    """The text says which check failed."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the token has to say. `nonce` is None after a refresh, where the token may go without one."""

    issuer: str
    client_id: str
    nonce: str | None
    access_token: str
    keys: Sequence[Mapping[str, Any]]
    """The issuer's JWKs."""
    now: datetime


@dataclass(frozen=True, slots=True)
class _Unverified:
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


def verify_id_token(token: str, expectation: Expectation) -> dict[str, Any]:
    """The claims of an ID token that passes every check. Raises IDTokenRefused."""
    unverified = _read(token)
    for check in CHECKS:
        check(unverified, expectation)
    return dict(unverified.claims)


def _read(token: str) -> _Unverified:
    try:
        header, claims, signature = token.split(".")
        unverified = _Unverified(
            header=json.loads(decode_part(header)),
            claims=json.loads(decode_part(claims)),
            signed=f"{header}.{claims}".encode(),
            signature=decode_part(signature),
        )
    except (ValueError, binascii.Error, RecursionError) as error:
        raise IDTokenRefused("It is not a signed JWT.") from error
    if not isinstance(unverified.header, dict) or not isinstance(unverified.claims, dict):
        raise IDTokenRefused("It is not a signed JWT.")
    return unverified


def decode_part(text: str) -> bytes:
    """Base64url without padding."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def check_signature(unverified: _Unverified, expected: Expectation) -> None:
    """Signed with the issuer's key that the header names, by the one algorithm that we registered for."""
    if unverified.header.get("alg") != ALGORITHM or "crit" in unverified.header:
        raise IDTokenRefused(f"It is not signed with {ALGORITHM}.")
    kid = unverified.header.get("kid")
    found = [
        key
        for key in expected.keys
        if key.get("kid") == kid and key.get("kty") == "RSA" and key.get("use", "sig") == "sig"
    ]
    if len(found) != 1:
        raise IDTokenRefused("It is signed with a key that the issuer does not publish.")
    numbers = [int.from_bytes(decode_part(found[0][name]), "big") for name in ("e", "n")]
    try:
        RSAPublicNumbers(*numbers).public_key().verify(
            unverified.signature, unverified.signed, PKCS1v15(), hashes.SHA256()
        )
    except InvalidSignature as error:
        raise IDTokenRefused("Its signature does not hold.") from error


def check_issuer(unverified: _Unverified, expected: Expectation) -> None:
    if unverified.claims.get("iss") != expected.issuer:
        raise IDTokenRefused(f"Its issuer is {unverified.claims.get('iss')!r}.")


def check_audience(unverified: _Unverified, expected: Expectation) -> None:
    if unverified.claims.get("aud") not in (expected.client_id, [expected.client_id]):
        raise IDTokenRefused(f"It is meant for {unverified.claims.get('aud')!r}.")
    if unverified.claims.get("azp", expected.client_id) != expected.client_id:
        raise IDTokenRefused("Its authorized party is another client.")


def check_time(unverified: _Unverified, expected: Expectation) -> None:
    """Not expired, and issued just now."""
    now = expected.now.timestamp()
    times = [unverified.claims.get(name) for name in ("exp", "iat")]
    exp, iat = (value if isinstance(value, int) and not isinstance(value, bool) else 0 for value in times)
    if now > exp + SKEW_SECONDS:
        raise IDTokenRefused("It is expired, or does not say when it expires.")
    if not -SKEW_SECONDS <= now - iat <= GREATEST_AGE_SECONDS:
        raise IDTokenRefused("It was not issued just now.")


def check_nonce(unverified: _Unverified, expected: Expectation) -> None:
    """The nonce of this sign-on, so that a token of another one cannot be put in its place."""
    nonce = unverified.claims.get("nonce")
    if expected.nonce is not None and nonce != expected.nonce:
        raise IDTokenRefused("Its nonce is not that of this sign-on.")


def check_access_token(unverified: _Unverified, expected: Expectation) -> None:
    """at_hash binds the access token to it."""
    half = hashlib.sha256(expected.access_token.encode()).digest()[:16]
    hashed = base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    if not hmac.compare_digest(str(unverified.claims.get("at_hash")), hashed):
        raise IDTokenRefused("It belongs to another access token.")


def check_subject(unverified: _Unverified, _expected: Expectation) -> None:
    subject = unverified.claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise IDTokenRefused("It has no subject.")


CHECKS: tuple[Callable[[_Unverified, Expectation], None], ...] = (
    check_signature,
    check_issuer,
    check_audience,
    check_time,
    check_nonce,
    check_access_token,
    check_subject,
)
CHECKED = ("signature by a published key", "issuer", "audience", "expiry and age", "nonce", "at_hash", "subject")
"""The checks above in words, for the page."""
