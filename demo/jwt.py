"""Signed JWTs (RFC 7515, RFC 7519): RS256 alone, with nothing but `cryptography`."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicNumbers

ALGORITHM = "RS256"


class BadJWT(Exception):
    """The text says what is wrong."""


@dataclass(frozen=True, slots=True)
class UnverifiedJWT:
    """A JWT taken apart; nothing in it is believed yet."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


def read_jwt(token: str) -> UnverifiedJWT:
    """Take `token` apart. Raises BadJWT."""
    try:
        header, claims, signature = token.split(".")
        unverified = UnverifiedJWT(
            header=json.loads(decode_part(header)),
            claims=json.loads(decode_part(claims)),
            signed=f"{header}.{claims}".encode(),
            signature=decode_part(signature),
        )
    except (ValueError, binascii.Error, RecursionError) as error:
        raise BadJWT("It is not a signed JWT.") from error
    if not isinstance(unverified.header, dict) or not isinstance(unverified.claims, dict):
        raise BadJWT("It is not a signed JWT.")
    return unverified


def verify_signature(unverified: UnverifiedJWT, keys: Sequence[Mapping[str, Any]]) -> None:
    """Signed with the one of these JWKs that the header names. Raises BadJWT."""
    if unverified.header.get("alg") != ALGORITHM or "crit" in unverified.header:
        raise BadJWT(f"It is not signed with {ALGORITHM}.")
    kid = unverified.header.get("kid")
    found = [
        key for key in keys if key.get("kid") == kid and key.get("kty") == "RSA" and key.get("use", "sig") == "sig"
    ]
    if len(found) != 1:
        raise BadJWT("It is signed with a key that the issuer does not publish.")
    numbers = [int.from_bytes(decode_part(found[0][name]), "big") for name in ("e", "n")]
    try:
        RSAPublicNumbers(*numbers).public_key().verify(
            unverified.signature, unverified.signed, PKCS1v15(), hashes.SHA256()
        )
    except InvalidSignature as error:
        raise BadJWT("Its signature does not hold.") from error


def write_jwt(claims: Mapping[str, Any], *, key: RSAPrivateKey, kid: str) -> str:
    """`claims` as a signed JWT."""
    header = {"alg": ALGORITHM, "kid": kid, "typ": "JWT"}
    signed = ".".join(encode_part(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{encode_part(key.sign(signed.encode(), PKCS1v15(), hashes.SHA256()))}"


def public_jwk(key: RSAPrivateKey, *, kid: str) -> dict[str, str]:
    """The public half of `key` as a JWK (RFC 7517)."""
    numbers = key.public_key().public_numbers()
    parts = {
        name: encode_part(number.to_bytes((number.bit_length() + 7) // 8, "big"))
        for name, number in (("e", numbers.e), ("n", numbers.n))
    }
    return {"kty": "RSA", "use": "sig", "alg": ALGORITHM, "kid": kid, **parts}


def half_hash(text: str) -> str:
    """What at_hash holds of an access token (OpenID Connect Core 3.1.3.6)."""
    return encode_part(hashlib.sha256(text.encode()).digest()[:16])


def encode_part(octets: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def decode_part(text: str) -> bytes:
    """The octets of base64url without padding."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
