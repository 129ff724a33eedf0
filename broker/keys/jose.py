"""Signing and verifying JWTs: the only door to python-jose.

python-jose 3.5.0 takes the algorithm from the header, tries every key it is given, ignores `crit` and knows no
lifetimes. So each token is taken apart here first; the library gets one opened key and one algorithm, and checks
one signature.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jose import jwk, jws

from broker import limits
from broker.errors import BrokerError
from broker.keys.claim_checks import CLAIM_CHECKS, FORMS, audience_of, time_of
from broker.keys.strict_json import NotStrictJson, read_object
from broker.keys.values import (
    ABSENT,
    Envelope,
    Expectation,
    ForeignExpectation,
    PrivateKey,
    PublicKey,
    SigningMaterial,
    VerificationKey,
    VerifiedClaims,
)
from broker.traces.collector import Collector
from broker.wording import json_kind

HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})
"""Members that we understand. Others are refused: an ignored `crit` or `b64` changes what was signed."""
FITS: Mapping[str, Callable[[PublicKey], bool]] = {
    "RS256": lambda key: isinstance(key, rsa.RSAPublicKey) and key.key_size >= limits.RSA_BITS_MIN,
    "ES256": lambda key: isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1",
}
"""The algorithms that we sign and verify with, and which keys each takes (RFC 7518 sections 3.3 and 3.4)."""
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


def signing_material(private_key: PrivateKey, *, kid: str, algorithm: str) -> SigningMaterial:
    """Open a private key for `sign`, once. Raises ValueError when it is too weak or does not fit the algorithm."""
    _check_fits(private_key.public_key(), algorithm)
    return SigningMaterial(kid, algorithm, private_key, jwk.construct(private_key, algorithm))


def verification_key(public_key: PublicKey, *, kid: str, algorithm: str, use: Literal["sig", "enc"]) -> VerificationKey:
    """Open a public key for `verify`, once. Raises ValueError when it is too weak or does not fit the algorithm."""
    _check_fits(public_key, algorithm)
    return VerificationKey(kid, algorithm, use, public_key, jwk.construct(public_key, algorithm))


def public_jwk(key: VerificationKey) -> dict[str, str]:
    """The key as a member of a JWKS (RFC 7517 section 4)."""
    return {**key.opened.to_dict(), "kid": key.kid, "use": key.use}


def sign(claims: Mapping[str, Any] | bytes, *, key: SigningMaterial, typ: str | None) -> str:
    """Sign claims (or, for what is no JWT, bytes) as a compact JWS (RFC 7515). `typ` None stands for plain `JWT`."""
    headers = {"kid": key.kid, "typ": typ or "JWT"}
    return str(jws.sign(claims, key.opened, headers=headers, algorithm=key.algorithm))


def verify(token: str, expectation: Expectation, *, collector: Collector | None = None) -> VerifiedClaims:
    """The claims of `token`, when every check of ENVELOPE_CHECKS and then of CLAIM_CHECKS passes.

    Raises BrokerError (jwt.*) and nothing else, whatever `token` is. Each check is recorded in `collector`.
    """
    opening = _open(token, expectation, collector)
    return _judge(opening, _read_claims(opening.payload), expectation, collector)


def verify_by_audience(
    token: str,
    envelope: Envelope,
    expect: Callable[[frozenset[str]], Expectation],
    *,
    collector: Collector | None = None,
) -> VerifiedClaims:
    """As `verify`, where the signed audience decides what else is expected: `expect` makes it of that.

    Raises BrokerError (jwt.*), and what `expect` raises.
    """
    opening = _open(token, envelope, collector)
    claims = _read_claims(opening.payload)
    if not FORMS["aud"](claims.get("aud")):
        raise BrokerError("jwt.claim", detail="aud", expected="aud in its form")
    return _judge(opening, claims, expect(audience_of(claims)), collector)


def verify_bytes(token: str, envelope: Envelope) -> bytes:
    """The signed bytes of a message that is no JWT and has no claims. Raises BrokerError (jwt.*)."""
    return _open(token, envelope, None).payload


def unverified_audience(token: str, *, max_bytes: int) -> frozenset[str]:
    """The audience that a token claims, unverified: to find whose rules `verify` shall apply, and for nothing else.

    Raises BrokerError (jwt.*).
    """
    return audience_of(_unverified_claims(token, "aud", max_bytes=max_bytes))


def unverified_issuer(token: str, *, max_bytes: int) -> str:
    """The issuer that a token claims, unverified: to find whose rules `verify` shall apply, and for nothing else.

    Raises BrokerError (jwt.*).
    """
    return str(_unverified_claims(token, "iss", max_bytes=max_bytes)["iss"])


def unverified_parties(token: str, *, max_bytes: int) -> tuple[str, str]:
    """The issuer and the subject that a token claims, unverified: to find whose keys and rules `verify` shall apply.

    Raises BrokerError (jwt.*).
    """
    claims = _unverified_claims(token, "iss", max_bytes=max_bytes)
    if not FORMS["sub"](claims.get("sub")):
        raise BrokerError("jwt.claim", detail="sub", expected="sub in its form")
    return claims["iss"], claims["sub"]


def unverified_kid(token: str, *, max_bytes: int) -> str:
    """The kid that a foreign token names, unverified: to find the key by which to judge it, and for nothing else.

    Raises BrokerError (jwt.*).
    """
    opening = _Opening(token, max_bytes, tolerated=ForeignExpectation.tolerated)
    for check in (check_size, check_shape, check_header):
        check(opening)
    return str(opening.unverified_header.get("kid", ""))


def unverified_header(token: str, *, max_bytes: int) -> dict[str, Any]:
    """The header of a message, unverified, whatever members it has: for those that bring their own key.

    Raises BrokerError (jwt.*).
    """
    opening = _Opening(token, max_bytes)
    check_size(opening)
    check_shape(opening)
    return _read_header(opening.raw_header)


def verify_signature(token: str, key: VerificationKey, *, max_bytes: int) -> dict[str, Any]:
    """The claims that `key` signed, and nothing more is known of them. Raises BrokerError (jwt.*)."""
    opening = _Opening(token, max_bytes, key=key)
    for check in (check_size, check_shape, check_signature):
        check(opening)
    return _read_claims(opening.payload)


@dataclass(slots=True)
class _Opening:
    """A message on its way through ENVELOPE_CHECKS; each check fills in what the next ones need."""

    token: str
    max_bytes: int
    types: frozenset[str] = frozenset()
    keys: tuple[VerificationKey, ...] = ()
    tolerated: frozenset[str] = frozenset()
    raw_header: bytes = b""
    payload: bytes = b""
    unverified_header: dict[str, Any] = field(default_factory=dict)
    key: VerificationKey | None = None


def check_size(opening: _Opening) -> None:
    """The token is text, and no longer than its kind may be."""
    if not isinstance(opening.token, str):
        raise BrokerError("jwt.malformed", expected="text", actual=json_kind(opening.token))
    if len(opening.token) > opening.max_bytes:
        raise BrokerError("jwt.too_large", expected=f"at most {opening.max_bytes} bytes", actual=len(opening.token))


def check_shape(opening: _Opening) -> None:
    """Three segments of canonical base64url (RFC 7515 sections 2 and 7.1): one token has one spelling."""
    if not _SHAPE.fullmatch(opening.token):
        raise BrokerError("jwt.malformed", expected="three segments of base64url")
    decoded = []
    for segment in opening.token.split("."):
        try:
            raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        except binascii.Error as error:
            raise BrokerError("jwt.malformed", expected="base64url") from error
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != segment:
            raise BrokerError("jwt.malformed", expected="canonical base64url")
        decoded.append(raw)
    opening.raw_header, opening.payload = decoded[0], decoded[1]


def check_header(opening: _Opening) -> None:
    """A header of members that we understand, each a text (RFC 7515 section 4.1.11: what is critical is refused)."""
    header = _read_header(opening.raw_header)
    unknown = header.keys() - HEADER_MEMBERS - opening.tolerated
    if unknown:
        raise BrokerError("jwt.header", expected=", ".join(sorted(HEADER_MEMBERS)), actual=", ".join(sorted(unknown)))
    for name, value in header.items():
        if not isinstance(value, str):
            code = "jwt.algorithm" if name == "alg" else "jwt.header"
            raise BrokerError(code, detail=name, expected="text", actual=json_kind(value))
    opening.unverified_header = header


def check_type(opening: _Opening) -> None:
    """The token is of the expected type, so that one kind never passes for another (RFC 8725 section 3.11)."""
    typ = opening.unverified_header.get("typ", ABSENT)
    if typ not in opening.types:
        raise BrokerError("jwt.type", expected=", ".join(sorted(opening.types)), actual=typ)


def check_algorithm(opening: _Opening) -> None:
    """The algorithm is one that we verify: never `none`, never a symmetric one (RFC 8725 section 3.1)."""
    algorithm = opening.unverified_header.get("alg", "")
    if algorithm not in FITS:
        raise BrokerError("jwt.algorithm", expected=", ".join(FITS), actual=algorithm)


def check_key(opening: _Opening) -> None:
    """Exactly one signature key has the token's kid, and its own algorithm is the token's."""
    kid, algorithm = opening.unverified_header.get("kid", ""), opening.unverified_header["alg"]
    found = [key for key in opening.keys if key.kid == kid and key.use == "sig"]
    if not kid or len(found) != 1:
        raise BrokerError("jwt.key", expected="the kid of one signature key", actual=kid)
    if found[0].algorithm != algorithm:
        raise BrokerError("jwt.algorithm", expected=found[0].algorithm, actual=algorithm)
    opening.key = found[0]


def check_signature(opening: _Opening) -> None:
    """The signature holds under that one key and that one algorithm."""
    if opening.key is None:
        raise BrokerError("jwt.key", detail="no key was selected")
    try:
        signed = jws.verify(opening.token, opening.key.opened, algorithms=[opening.key.algorithm])
    except Exception as error:  # the library raises what its parts raise; for us all of it is one refusal
        raise BrokerError(
            "jwt.signature", detail=type(error).__name__, expected="a signature by the key of the kid", actual="another"
        ) from error
    if signed != opening.payload:
        raise BrokerError("jwt.signature", detail="the library read other bytes than we did")


ENVELOPE_CHECKS: tuple[Callable[[_Opening], None], ...] = (
    check_size,
    check_shape,
    check_header,
    check_type,
    check_algorithm,
    check_key,
    check_signature,
)


def _open(token: str, envelope: Envelope, collector: Collector | None) -> _Opening:
    opening = _Opening(token, envelope.max_bytes, envelope.types, envelope.keys, envelope.tolerated)
    for check in ENVELOPE_CHECKS:
        _run(check.__name__, partial(check, opening), collector)
    return opening


def _judge(
    opening: _Opening, claims: dict[str, Any], expectation: Expectation, collector: Collector | None
) -> VerifiedClaims:
    for check in CLAIM_CHECKS:
        _run(check.__name__, partial(check, claims, expectation), collector)
    return VerifiedClaims(
        kid=opening.unverified_header["kid"],
        typ=opening.unverified_header.get("typ", ABSENT),
        issuer=claims["iss"],
        audience=audience_of(claims),
        issued_at=time_of(claims, "iat"),
        expires_at=time_of(claims, "exp"),
        claims=MappingProxyType(claims),
    )


def _run(name: str, check: Callable[[], None], collector: Collector | None) -> None:
    try:
        check()
    except BrokerError as error:
        if collector is not None:
            collector.check(f"jwt.{name}", passed=False, expected=error.expected, actual=error.actual)
        raise
    if collector is not None:
        collector.check(f"jwt.{name}", passed=True)


def _read_header(raw: bytes) -> dict[str, Any]:
    try:
        return read_object(raw)
    except NotStrictJson as error:
        raise BrokerError("jwt.malformed", detail=f"header: {error}") from error


def _unverified_claims(token: str, needed: str, *, max_bytes: int) -> dict[str, Any]:
    """The claims of a token whose signature nobody has looked at; `needed` stands there in its form."""
    opening = _Opening(token, max_bytes)
    check_size(opening)
    check_shape(opening)
    claims = _read_claims(opening.payload)
    if not FORMS[needed](claims.get(needed)):
        raise BrokerError("jwt.claim", detail=needed, expected=f"{needed} in its form")
    return claims


def _read_claims(payload: bytes) -> dict[str, Any]:
    try:
        return read_object(payload)
    except NotStrictJson as error:
        raise BrokerError("jwt.malformed", detail=f"claims: {error}") from error


def _check_fits(key: PublicKey, algorithm: str) -> None:
    if algorithm not in FITS or not FITS[algorithm](key):
        raise ValueError(f"the key does not fit {algorithm}")
