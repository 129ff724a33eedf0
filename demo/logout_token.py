"""Logout tokens (OpenID Connect Back-Channel Logout 1.0 section 2.6), verified with nothing but `cryptography`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from demo.jwt import BadJWT, UnverifiedJWT, read_jwt, verify_signature

TYPE = "logout+jwt"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
SKEW_SECONDS = 30
GREATEST_LIFETIME_SECONDS = 120


class LogoutRefused(Exception):
    """The text says which check failed."""


@dataclass(frozen=True, slots=True)
class LogoutExpectation:
    """What the token has to say."""

    issuer: str
    client_id: str
    keys: Sequence[Mapping[str, Any]]
    """The issuer's JWKs."""
    now: datetime


@dataclass(frozen=True, slots=True)
class Leaving:
    """Whose sessions end; an empty `session` means all of the subject's."""

    token_id: str
    session: str
    subject: str


def verify_logout_token(token: str, expectation: LogoutExpectation) -> Leaving:
    """What a token that passes every check says. Raises LogoutRefused. That it comes once only is the caller's part."""
    try:
        unverified = read_jwt(token)
        for check in CHECKS:
            check(unverified, expectation)
    except BadJWT as error:
        raise LogoutRefused(str(error)) from error
    claims = unverified.claims
    return Leaving(claims["jti"], str(claims.get("sid", "")), str(claims.get("sub", "")))


def check_type(unverified: UnverifiedJWT, _expected: LogoutExpectation) -> None:
    """An ID token is no logout token."""
    if unverified.header.get("typ") != TYPE:
        raise LogoutRefused(f"Its type is {unverified.header.get('typ')!r}.")


def check_signature(unverified: UnverifiedJWT, expected: LogoutExpectation) -> None:
    verify_signature(unverified, expected.keys)


def check_issuer(unverified: UnverifiedJWT, expected: LogoutExpectation) -> None:
    if unverified.claims.get("iss") != expected.issuer:
        raise LogoutRefused(f"Its issuer is {unverified.claims.get('iss')!r}.")


def check_audience(unverified: UnverifiedJWT, expected: LogoutExpectation) -> None:
    if unverified.claims.get("aud") not in (expected.client_id, [expected.client_id]):
        raise LogoutRefused(f"It is meant for {unverified.claims.get('aud')!r}.")


def check_time(unverified: UnverifiedJWT, expected: LogoutExpectation) -> None:
    """Made just now, and for a short while."""
    now = expected.now.timestamp()
    times = [unverified.claims.get(name) for name in ("exp", "iat")]
    exp, iat = (value if isinstance(value, int) and not isinstance(value, bool) else 0 for value in times)
    if not (abs(now - iat) <= GREATEST_LIFETIME_SECONDS + SKEW_SECONDS and now <= exp + SKEW_SECONDS):
        raise LogoutRefused("It is not of now.")
    if exp - iat > GREATEST_LIFETIME_SECONDS:
        raise LogoutRefused("It is good for too long.")


def check_event(unverified: UnverifiedJWT, _expected: LogoutExpectation) -> None:
    events = unverified.claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise LogoutRefused("It tells of something else.")


def check_no_nonce(unverified: UnverifiedJWT, _expected: LogoutExpectation) -> None:
    """With a nonce it could be passed off as an ID token."""
    if "nonce" in unverified.claims:
        raise LogoutRefused("It has a nonce.")


def check_names(unverified: UnverifiedJWT, _expected: LogoutExpectation) -> None:
    """It has an ID, and names a session or a person."""
    named = [unverified.claims.get(name) for name in ("jti", "sid", "sub")]
    if not isinstance(named[0], str) or not named[0] or not all(one is None or isinstance(one, str) for one in named):
        raise LogoutRefused("It has no ID.")
    if not (named[1] or named[2]):
        raise LogoutRefused("It names nobody.")


CHECKS: tuple[Callable[[UnverifiedJWT, LogoutExpectation], None], ...] = (
    check_type,
    check_signature,
    check_issuer,
    check_audience,
    check_time,
    check_event,
    check_no_nonce,
    check_names,
)
