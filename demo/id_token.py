"""ID tokens, verified (OpenID Connect Core 3.1.3.7) with nothing but `cryptography`."""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from demo.jwt import BadJWT, UnverifiedJWT, half_hash, read_jwt, verify_signature

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


def verify_id_token(token: str, expectation: Expectation) -> dict[str, Any]:
    """The claims of an ID token that passes every check. Raises IDTokenRefused."""
    try:
        unverified = read_jwt(token)
        for check in CHECKS:
            check(unverified, expectation)
    except BadJWT as error:
        raise IDTokenRefused(str(error)) from error
    return dict(unverified.claims)


def check_signature(unverified: UnverifiedJWT, expected: Expectation) -> None:
    """Signed with the issuer's key that the header names, by the one algorithm that we registered for."""
    verify_signature(unverified, expected.keys)


def check_issuer(unverified: UnverifiedJWT, expected: Expectation) -> None:
    if unverified.claims.get("iss") != expected.issuer:
        raise IDTokenRefused(f"Its issuer is {unverified.claims.get('iss')!r}.")


def check_audience(unverified: UnverifiedJWT, expected: Expectation) -> None:
    if unverified.claims.get("aud") not in (expected.client_id, [expected.client_id]):
        raise IDTokenRefused(f"It is meant for {unverified.claims.get('aud')!r}.")
    if unverified.claims.get("azp", expected.client_id) != expected.client_id:
        raise IDTokenRefused("Its authorized party is another client.")


def check_time(unverified: UnverifiedJWT, expected: Expectation) -> None:
    """Not expired, and issued just now."""
    now = expected.now.timestamp()
    times = [unverified.claims.get(name) for name in ("exp", "iat")]
    exp, iat = (value if isinstance(value, int) and not isinstance(value, bool) else 0 for value in times)
    if now > exp + SKEW_SECONDS:
        raise IDTokenRefused("It is expired, or does not say when it expires.")
    if not -SKEW_SECONDS <= now - iat <= GREATEST_AGE_SECONDS:
        raise IDTokenRefused("It was not issued just now.")


def check_nonce(unverified: UnverifiedJWT, expected: Expectation) -> None:
    """The nonce of this sign-on, so that a token of another one cannot be put in its place."""
    nonce = unverified.claims.get("nonce")
    if expected.nonce is not None and nonce != expected.nonce:
        raise IDTokenRefused("Its nonce is not that of this sign-on.")


def check_access_token(unverified: UnverifiedJWT, expected: Expectation) -> None:
    """at_hash binds the access token to it."""
    if not hmac.compare_digest(str(unverified.claims.get("at_hash")), half_hash(expected.access_token)):
        raise IDTokenRefused("It belongs to another access token.")


def check_subject(unverified: UnverifiedJWT, _expected: Expectation) -> None:
    subject = unverified.claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise IDTokenRefused("It has no subject.")


CHECKS: tuple[Callable[[UnverifiedJWT, Expectation], None], ...] = (
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
