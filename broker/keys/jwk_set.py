"""Reading a foreign issuer's JWK set (RFC 7517): the keys that we can verify with, and what is odd about the others.

One odd key does not spoil the set: issuers publish keys of kinds that we do not know beside those that they sign with.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from broker import limits
from broker.keys import jose
from broker.keys.strict_json import read_object
from broker.keys.values import PublicKey, VerificationKey

KID_CHARS = 255
RSA_MODULUS_CHARS = 1_400
"""base64url of 8,192 bits: larger keys make each verification a burden."""
RSA_EXPONENT_CHARS = 6
"""base64url of 32 bits, for the same reason."""
_ALGORITHM_OF_KIND = {"RSA": "RS256", "EC": "ES256"}
"""By which a key is used that does not say it itself."""
_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}


@dataclass(frozen=True, slots=True)
class JwkSet:
    """The usable keys of a set, each reduced to its public members, and a sentence about each other one."""

    keys: tuple[dict[str, str], ...]
    oddities: tuple[str, ...]


def read_jwk_set(raw: bytes) -> JwkSet:
    """Read a JWK set. Raises ValueError when it is none, or holds no usable key at all."""
    listed = read_object(raw).get("keys")
    if not isinstance(listed, list):
        raise ValueError("no key set: there is no list of keys")  # noqa: TRY004 - one error for whatever is no key set
    keys: list[dict[str, str]] = []
    oddities: list[str] = []
    for number, found in enumerate(listed[: limits.REMOTE_KEYS]):
        try:
            reduced = _reduce(found)
            open_jwk(reduced)
        except ValueError as error:
            oddities.append(f"key {number} is left out: {error}")
            continue
        if reduced not in keys:
            keys.append(reduced)
    if len(listed) > limits.REMOTE_KEYS:
        oddities.append(f"only the first {limits.REMOTE_KEYS} of {len(listed)} keys were looked at")
    if not keys:
        raise ValueError(f"no usable key among {len(listed)}: {'; '.join(oddities[:3])}")
    return JwkSet(tuple(keys), tuple(oddities))


def open_jwk(key: Mapping[str, str]) -> VerificationKey:
    """Open a key as `read_jwk_set` reduced it. Raises ValueError when it is too weak or does not fit its algorithm."""
    return jose.verification_key(_public_key(key), kid=key["kid"], algorithm=key["alg"], use="sig")


def _reduce(found: Any) -> dict[str, str]:
    """The public members that we use. Raises ValueError."""
    if not isinstance(found, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - one error for whatever is no usable key
    kind, kid = found.get("kty"), found.get("kid")
    if not isinstance(kind, str) or kind not in _MEMBERS:
        raise ValueError("its kind is neither RSA nor EC")
    if not isinstance(kid, str) or not 0 < len(kid) <= KID_CHARS:
        raise ValueError("it has no kid to be found by")
    operations = found.get("key_ops", ["verify"])
    if found.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise ValueError("it is not for signatures")
    algorithm = found.get("alg", _ALGORITHM_OF_KIND[kind])
    if algorithm != _ALGORITHM_OF_KIND[kind]:
        raise ValueError(f"its algorithm is not {_ALGORITHM_OF_KIND[kind]}")
    members = {name: found.get(name) for name in _MEMBERS[kind]}
    if not all(isinstance(value, str) and value for value in members.values()):
        raise ValueError("a member is missing or no text")
    return {"kid": kid, "kty": kind, "alg": algorithm, **members}


def _public_key(key: Mapping[str, str]) -> PublicKey:
    if key["kty"] == "EC":
        if key["crv"] != "P-256":
            raise ValueError("its curve is not P-256")
        return ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), ec.SECP256R1()).public_key()
    if len(key["n"]) > RSA_MODULUS_CHARS or len(key["e"]) > RSA_EXPONENT_CHARS:
        raise ValueError("it is too large")
    return rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"])).public_key()


def _number(text: str) -> int:
    """Base64urlUInt (RFC 7518 section 2)."""
    try:
        return int.from_bytes(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except binascii.Error as error:
        raise ValueError("a member is not base64url") from error
