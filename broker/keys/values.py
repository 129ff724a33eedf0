"""What the JWT door takes and gives: keys, expectations, and verified claims. None of it is a secret to log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey
PublicKey = RSAPublicKey | EllipticCurvePublicKey
ABSENT = ""
"""Stands in `Envelope.types` for a header without `typ`."""
THUMBPRINTS = frozenset({"x5t", "x5t#S256"})
"""Header members that say again which key it was (RFC 7515 sections 4.1.7 and 4.1.8). We never look at them."""


@dataclass(frozen=True, slots=True)
class SigningMaterial:
    """A private key of ours, opened once (`jose.signing_material`): no PEM is parsed per signature."""

    kid: str
    algorithm: str
    private_key: PrivateKey = field(repr=False)
    opened: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key with the one algorithm and the one use that it has (`jose.verification_key`)."""

    kid: str
    algorithm: str
    use: Literal["sig", "enc"]
    public_key: PublicKey = field(repr=False)
    opened: Any = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a signed message must be before its content is believed. Nothing has a default.

    `types` are the accepted values of `typ`, exactly as written; ABSENT accepts a header without it.
    """

    keys: tuple[VerificationKey, ...]
    types: frozenset[str]
    max_bytes: int
    tolerated: ClassVar[frozenset[str]] = frozenset()
    """Header members that may stand there without being understood."""

    def __post_init__(self) -> None:
        if not self.types or self.max_bytes <= 0:
            raise ValueError("an envelope names its types and its size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation(Envelope):
    """Everything that a token must be. Nothing has a default: what is left out would not be checked.

    `audience` is the exact set; `greatest_age` counts since `iat`; `greatest_lifetime` is from `iat` to `exp`;
    `skew` is how far `iat` and `nbf` may lie in the future; `after_expiry` is how long after `exp` the token still
    passes (zero for our own tokens, a session's life for an id_token_hint); `required` names claims beyond iss, aud,
    exp and iat, which are always required. `now` is aware.
    """

    issuer: str
    audience: frozenset[str]
    greatest_age: timedelta
    greatest_lifetime: timedelta
    skew: timedelta
    after_expiry: timedelta
    required: frozenset[str]
    now: datetime

    def __post_init__(self) -> None:
        Envelope.__post_init__(self)
        if not self.issuer or not self.audience or "" in self.audience:
            raise ValueError("an expectation names its issuer and its audience")
        if self.now.tzinfo is None:
            raise ValueError("an expectation's time is aware")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignExpectation(Expectation):
    """Everything that a token of another house must be. Those houses name their keys in more ways than we do."""

    tolerated: ClassVar[frozenset[str]] = THUMBPRINTS


@dataclass(frozen=True, slots=True)
class VerifiedClaims:
    """The claims of a token of which every check passed. `claims` is read-only."""

    kid: str
    typ: str
    issuer: str
    audience: frozenset[str]
    issued_at: datetime
    expires_at: datetime
    claims: Mapping[str, Any]
