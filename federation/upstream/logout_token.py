"""An OpenID provider's logout token, verified (OpenID Connect Back-Channel Logout 1.0 section 2.6).

By the JWT door, then by what tells a logout token from an ID token of the same house, form and audience. Its type is
`logout+jwt`, `JWT` or not told: its claims say what it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from broker import limits
from broker.errors import BrokerError
from broker.keys import jose
from broker.keys.values import ForeignExpectation
from broker.registry.models import IdentityProvider
from broker.traces.collector import Collector
from broker.wording import json_kind
from federation.checks import Compared, run_checks
from federation.upstream.id_token import SID_CHARS, TYPES, IssuerTrust, as_openid, issuer_keys

EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_TYPES = TYPES | {"logout+jwt"}


@dataclass(frozen=True, slots=True)
class UpstreamLogout:
    """What an identity provider says of the end of its session. At least one of `subject` and `sid` is there."""

    subject: str
    sid: str
    token_id: str
    until: datetime
    """Until when the token could be accepted once more: how long its ID must be remembered."""


@dataclass(frozen=True, slots=True)
class LogoutCase:
    """Signed claims on their way through the checks below."""

    claims: Mapping[str, Any]


def verify_logout_token(
    raw: str, identity_provider: IdentityProvider, *, now: datetime, trace: Collector
) -> UpstreamLogout:
    """Whose session ended. That it comes once only is the caller's next step. Raises BrokerError (oidc.*)."""
    trust = IssuerTrust.in_provider(identity_provider, now=now)
    with as_openid():
        expectation = ForeignExpectation(
            keys=issuer_keys(raw, trust, trace=trace),
            types=LOGOUT_TYPES,
            max_bytes=limits.JWT_ID_TOKEN_BYTES,
            issuer=trust.issuer,
            audience=frozenset({trust.client_id}),
            greatest_age=limits.UPSTREAM_LOGOUT_AGE,
            greatest_lifetime=limits.FOREIGN_SUBJECT_LIFETIME,
            skew=trust.skew,
            after_expiry=trust.skew,
            required=frozenset({"jti", "events"}),
            now=now,
        )
        verified = jose.verify(raw, expectation, collector=trace)
    run_checks(LOGOUT_CHECKS, LogoutCase(verified.claims), trace=trace, subject="logout token")
    return UpstreamLogout(
        subject=verified.claims.get("sub", ""),
        sid=verified.claims.get("sid", ""),
        token_id=verified.claims["jti"],
        until=now + limits.UPSTREAM_LOGOUT_AGE + trust.skew,
    )


def check_event(case: LogoutCase) -> Compared:
    """It reports this event, with an object beside it (section 2.4)."""
    events = case.claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        actual = ", ".join(map(str, events))[:200] if isinstance(events, dict) else json_kind(events)
        raise BrokerError("oidc.type", expected=EVENT, actual=actual)
    return EVENT, EVENT


def check_no_nonce(case: LogoutCase) -> Compared:
    """A nonce is prohibited: an ID token has one, and must not end what it began."""
    if "nonce" in case.claims:
        raise BrokerError("oidc.type", expected="no nonce", actual="one")
    return "no nonce", "none"


def check_names(case: LogoutCase) -> Compared:
    """It names a session or a person."""
    sid, subject = case.claims.get("sid", ""), case.claims.get("sub", "")
    if not (sid or subject) or len(sid) > SID_CHARS or len(subject) > limits.OIDC_SUBJECT_CHARS:
        raise BrokerError("oidc.claim", detail="sub or sid", expected="a subject or a session", actual="neither")
    return "a subject or a session", " and ".join(name for name in ("sub", "sid") if case.claims.get(name))


LOGOUT_CHECKS: tuple[Callable[[LogoutCase], Compared], ...] = (check_event, check_no_nonce, check_names)
