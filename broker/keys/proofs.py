"""Proofs of possession: JWTs that bring the public key that signed them (RFC 9449 section 4.2).

Such a message proves nothing but that its sender holds that key. This is the one place where a key is taken from a
message; `jose.verify` never does it.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from broker import limits
from broker.errors import BrokerError
from broker.keys import jose
from broker.keys.jwk_set import open_jwk
from broker.keys.values import VerificationKey
from broker.traces.collector import Collector

HEADER_MEMBERS = frozenset({"typ", "alg", "jwk"})
MEMBERS_OF_KIND: Mapping[str, tuple[str, ...]] = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y")}
"""The members that make a key, in the order of its thumbprint (RFC 7638 section 3.2)."""
ALGORITHM_OF_KIND: Mapping[str, str] = {"RSA": "RS256", "EC": "ES256"}
SAID_OF_KEYS = frozenset({"kid", "use", "alg", "key_ops", "ext"})
"""What a JWK may say of itself besides; none of it is looked at."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the holder of the key with this thumbprint (RFC 7638) signed. `claims` is read-only."""

    thumbprint: str
    claims: Mapping[str, Any]


def verify_proof(raw: str, *, typ: str, trace: Collector) -> Proof:
    """The claims of a proof of type `typ`, when every check of PROOF_CHECKS and its signature hold.

    Raises BrokerError (jwt.*).
    """
    unverified_header = jose.unverified_header(raw, max_bytes=limits.JWT_BEARER_BYTES)
    for check in PROOF_CHECKS:
        check(unverified_header, typ)
    key = _open(unverified_header["jwk"])
    claims = jose.verify_signature(raw, key, max_bytes=limits.JWT_BEARER_BYTES)
    trace.check("proof.signature", passed=True, actual=key.algorithm)
    return Proof(key.kid, MappingProxyType(claims))


def thumbprint_of(jwk: Mapping[str, Any]) -> str:
    """The key's thumbprint (RFC 7638 section 3). `jwk` has the members of its kind."""
    members = {name: jwk[name] for name in MEMBERS_OF_KIND[jwk["kty"]]}
    digest = hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def check_members(unverified_header: Mapping[str, Any], typ: str) -> None:  # noqa: ARG001 - PROOF_CHECKS share one signature
    """The header has the three members that a proof has, and no other: what we do not understand may be critical."""
    if unverified_header.keys() != HEADER_MEMBERS:
        expected, actual = ", ".join(sorted(HEADER_MEMBERS)), ", ".join(sorted(unverified_header))
        raise BrokerError("jwt.header", expected=expected, actual=actual[:200])


def check_type(unverified_header: Mapping[str, Any], typ: str) -> None:
    """It is a proof, and no other token of the key's holder."""
    if unverified_header["typ"] != typ:
        raise BrokerError("jwt.type", expected=typ, actual=str(unverified_header["typ"])[:100])


def check_public(unverified_header: Mapping[str, Any], typ: str) -> None:  # noqa: ARG001 - see above
    """The key is a public one of a kind that we verify with: a private or shared part of it is in no message."""
    jwk = unverified_header["jwk"]
    kind = jwk.get("kty") if isinstance(jwk, dict) else None
    if not isinstance(kind, str) or kind not in MEMBERS_OF_KIND:
        raise BrokerError("jwt.key", expected="a public RSA or P-256 key", actual="another")
    unknown = jwk.keys() - set(MEMBERS_OF_KIND[kind]) - SAID_OF_KEYS
    if unknown:
        raise BrokerError("jwt.key", expected="the public members alone", actual=", ".join(sorted(unknown))[:200])


def check_algorithm(unverified_header: Mapping[str, Any], typ: str) -> None:  # noqa: ARG001 - see above
    """The algorithm is the one that goes with the key: never `none`, never a symmetric one."""
    expected = ALGORITHM_OF_KIND[unverified_header["jwk"]["kty"]]
    if unverified_header["alg"] != expected:
        raise BrokerError("jwt.algorithm", expected=expected, actual=str(unverified_header["alg"])[:100])


PROOF_CHECKS: tuple[Callable[[Mapping[str, Any], str], None], ...] = (
    check_members,
    check_type,
    check_public,
    check_algorithm,
)


def _open(jwk: Mapping[str, Any]) -> VerificationKey:
    kind = jwk["kty"]
    members = {name: value for name in MEMBERS_OF_KIND[kind] if isinstance(value := jwk.get(name), str) and value}
    if len(members) < len(MEMBERS_OF_KIND[kind]):
        raise BrokerError("jwt.key", expected="every member of the key as text", actual="one is missing")
    try:
        return open_jwk({**members, "kid": thumbprint_of(members), "alg": ALGORITHM_OF_KIND[kind]})
    except ValueError as error:
        raise BrokerError("jwt.key", detail=str(error), expected="a key of sufficient strength") from error
