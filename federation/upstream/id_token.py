"""Verifying an OpenID provider's ID token (OpenID Connect Core 3.1.3.7): by the JWT door, then by what OpenID adds."""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from broker import limits
from broker.errors import BrokerError
from broker.keys import jose
from broker.keys.remote import remote_keys
from broker.keys.values import ABSENT, ForeignExpectation, VerificationKey, VerifiedClaims
from broker.registry.models import IdentityProvider
from broker.registry.openid import discovery_of
from broker.traces.collector import Collector
from broker.wording import in_words
from federation.checks import Compared, run_checks

TYPES = frozenset({ABSENT, "JWT"})
METHODS_MAX = 20
METHOD_CHARS = 100
SID_CHARS = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerTrust:
    """Whose tokens are believed, and for whom they have to be. Nothing has a default.

    `owner` is the identity provider's id, `client_id` ours there, `jwks_uri` where its keys stand and `algorithms` what
    it announced to sign with.
    """

    owner: str
    issuer: str
    client_id: str
    jwks_uri: str
    algorithms: tuple[str, ...]
    skew: timedelta
    now: datetime

    @staticmethod
    def in_provider(provider: IdentityProvider, *, now: datetime) -> "IssuerTrust":
        """What is registered and discovered of an OpenID provider. Raises BrokerError (oidc.*)."""
        discovery = discovery_of(provider)
        return IssuerTrust(
            owner=str(provider.pk),
            issuer=provider.issuer,
            client_id=provider.client_id,
            jwks_uri=discovery.jwks_uri,
            algorithms=discovery.id_token_algorithms,
            skew=timedelta(seconds=provider.skew_seconds),
            now=now,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IdTokenExpectation(IssuerTrust):
    """Everything that an ID token must be. Nothing has a default: what is left out would not be checked.

    `access_token` came with the ID token; `authenticated_after` None: any authentication will do.
    """

    nonce: str
    access_token: str = field(repr=False)
    authenticated_after: datetime | None


class ClaimsCase(Protocol):
    """Signed claims, and what is known of who made them."""

    @property
    def claims(self) -> Mapping[str, Any]: ...

    @property
    def expectation(self) -> IssuerTrust: ...


@dataclass(frozen=True, slots=True)
class IdTokenCase:
    """Signed claims on their way through ID_TOKEN_CHECKS, and what they must be."""

    claims: Mapping[str, Any]
    expectation: IdTokenExpectation


def verify_id_token(raw_token: str, expectation: IdTokenExpectation, *, trace: Collector) -> VerifiedClaims:
    """The claims of `raw_token`, when every check of the JWT door and of ID_TOKEN_CHECKS passes.

    Raises BrokerError (oidc.*), whatever `raw_token` is.
    """
    with as_openid():
        verified = jose.verify(raw_token, _expectation(raw_token, expectation, trace=trace), collector=trace)
    run_checks(ID_TOKEN_CHECKS, IdTokenCase(verified.claims, expectation), trace=trace, subject="ID token")
    return verified


@contextmanager
def as_openid() -> Iterator[None]:
    """For each refusal of a JWT there is one of an identity provider's token: who can mend it is somebody else."""
    try:
        yield
    except BrokerError as error:
        code = error.code.replace("jwt.", "oidc.", 1)
        raise BrokerError(code, detail=error.detail, expected=error.expected, actual=error.actual) from error


def check_authorized_party(case: ClaimsCase) -> Compared:
    """azp, where it stands, is us (OpenID Connect Core 3.1.3.7, items 4 and 5)."""
    expected, actual = case.expectation.client_id, case.claims.get("azp")
    if actual is not None and actual != expected:
        raise BrokerError("oidc.authorized_party", expected=expected, actual=actual)
    return expected, actual or "none told"


def check_nonce(case: IdTokenCase) -> Compared:
    """The token answers our question and no other (item 11). It is required, whatever the provider thinks of it."""
    if case.claims["nonce"] != case.expectation.nonce:
        raise BrokerError("oidc.nonce", expected="the nonce of this sign-on", actual="another")
    return "the nonce of this sign-on", "so it is"


def check_access_token_hash(case: IdTokenCase) -> Compared:
    """at_hash, where it stands, is of the access token that came along (3.1.3.8): SHA-256 for both our algorithms."""
    digest = hashlib.sha256(case.expectation.access_token.encode()).digest()
    expected = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    actual = case.claims.get("at_hash")
    if actual is not None and actual != expected:
        raise BrokerError("oidc.at_hash", expected=expected, actual=actual)
    return expected, actual or "none told"


def check_authentication_is_fresh(case: IdTokenCase) -> Compared:
    """Where a fresh authentication was asked for, auth_time must be there and prove it (items 13 and 3.1.2.1)."""
    after = case.expectation.authenticated_after
    told = case.claims.get("auth_time")
    actual = "none told" if told is None else datetime.fromtimestamp(told, tz=UTC)
    if after is None:
        return "any authentication", actual
    if not isinstance(actual, datetime) or actual < after - case.expectation.skew:
        raise BrokerError("oidc.authentication_too_old", expected=f"auth_time after {in_words(after)}", actual=actual)
    return f"auth_time after {in_words(after)}", actual


def check_lengths(case: ClaimsCase) -> Compared:
    """What is kept with the session has room there."""
    acr, sid, methods = case.claims.get("acr", ""), case.claims.get("sid", ""), case.claims.get("amr", [])
    longest = max((len(method) for method in methods), default=0)
    expected = f"acr of {limits.CONTEXT_CHARS}, sid of {SID_CHARS}, amr of {METHODS_MAX} with {METHOD_CHARS}"
    actual = f"{len(acr)}, {len(sid)}, {len(methods)} with {longest}"
    if len(acr) > limits.CONTEXT_CHARS or len(sid) > SID_CHARS or len(methods) > METHODS_MAX or longest > METHOD_CHARS:
        raise BrokerError("oidc.claim", detail="acr, sid or amr", expected=expected, actual=actual)
    return expected, actual


ID_TOKEN_CHECKS: tuple[Callable[[IdTokenCase], Compared], ...] = (
    check_authorized_party,
    check_nonce,
    check_access_token_hash,
    check_authentication_is_fresh,
    check_lengths,
)


def _expectation(raw_token: str, expectation: IdTokenExpectation, *, trace: Collector) -> ForeignExpectation:
    return ForeignExpectation(
        keys=issuer_keys(raw_token, expectation, trace=trace),
        types=TYPES,
        max_bytes=limits.JWT_ID_TOKEN_BYTES,
        issuer=expectation.issuer,
        # Exactly us: a token that others may use too is not meant for us alone (item 3).
        audience=frozenset({expectation.client_id}),
        greatest_age=limits.OIDC_ID_TOKEN_AGE,
        greatest_lifetime=limits.OIDC_ID_TOKEN_LIFETIME,
        skew=expectation.skew,
        after_expiry=expectation.skew,
        required=frozenset({"sub", "nonce"}),
        now=expectation.now,
    )


def issuer_keys(raw_token: str, expectation: IssuerTrust, *, trace: Collector) -> tuple[VerificationKey, ...]:
    """The provider's keys of the kid that the token names, of an algorithm that the provider announced."""
    kid = jose.unverified_kid(raw_token, max_bytes=limits.JWT_ID_TOKEN_BYTES)
    try:
        keys = remote_keys(
            expectation.owner, url=expectation.jwks_uri, unverified_kid=kid, now=expectation.now, trace=trace
        )
    except BrokerError as error:
        raise BrokerError("oidc.keys", detail=error.detail, expected=error.expected, actual=error.actual) from error
    announced = tuple(key for key in keys if key.algorithm in expectation.algorithms)
    if keys and not announced:
        raise BrokerError(
            "oidc.algorithm", expected=", ".join(expectation.algorithms), actual=f"a key for {keys[0].algorithm}"
        )
    return announced
