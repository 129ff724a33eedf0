"""Workload federation: the token of a platform (Kubernetes, a CI system) in place of a secret (RFC 7523 section 3).

A platform gives one token to a workload for its whole life, and the workload presents it as often as it needs: there
is no `jti` to use up. What bounds a stolen one is its end, an hour after its beginning unless a dated exception says
otherwise, and its audience, which is us alone.
"""

import hashlib
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings

from broker import limits
from broker.keys import jose
from broker.keys.remote import remote_keys
from broker.keys.values import ABSENT, ForeignExpectation, VerificationKey, VerifiedClaims
from broker.registry.credential_names import workload_name
from broker.registry.models import Client, CredentialKind
from broker.tokens.credentials import VerifiedCredential
from broker.tokens.errors import InvalidClient
from broker.traces.collector import Collector

TYPES = frozenset({ABSENT, "JWT"})


def verify_workload(raw_token: str, client: Client, *, trace: Collector, now: datetime) -> VerifiedCredential:
    """The workload that `client` is registered for, when its platform's token passes every check.

    Raises InvalidClient, BrokerError (jwt.*, outgoing.refused).
    """
    workload = client.workload
    lifetime = _greatest_lifetime(workload, now=now)
    expectation = ForeignExpectation(
        keys=_keys(raw_token, workload, trace=trace, now=now),
        types=TYPES,
        max_bytes=limits.JWT_BEARER_BYTES,
        issuer=workload["issuer"],
        audience=frozenset({workload.get("audience") or settings.BROKER_BASE_URL}),
        greatest_age=lifetime,
        greatest_lifetime=lifetime,
        skew=limits.CLIENT_ASSERTION_SKEW,
        after_expiry=timedelta(0),
        required=frozenset({"sub"}),
        now=now,
    )
    check_subject(jose.verify(raw_token, expectation, collector=trace), workload)
    return VerifiedCredential(Client.Authentication.PRIVATE_KEY_JWT, CredentialKind.WORKLOAD, workload_name(client))


def check_subject(verified: VerifiedClaims, workload: dict[str, Any]) -> None:
    """The platform speaks of the registered workload, letter by letter."""
    if verified.claims["sub"] != workload["subject"]:
        raise InvalidClient("subject", expected=workload["subject"], actual=verified.claims["sub"])


def _keys(raw_token: str, workload: dict[str, Any], *, trace: Collector, now: datetime) -> tuple[VerificationKey, ...]:
    """The platform's keys, asked for where the registration says, never where the token does."""
    url = workload.get("jwks_url", "")
    if not url:
        raise InvalidClient("keys", expected="a registered address of the issuer's keys", actual="none")
    kid = jose.unverified_kid(raw_token, max_bytes=limits.JWT_BEARER_BYTES)
    return remote_keys(_owner(workload["issuer"], url), url=url, unverified_kid=kid, now=now, trace=trace)


def _owner(issuer: str, url: str) -> str:
    """One issuer's keys serve all clients of its workloads; registered under two addresses it is two."""
    return f"workload-{hashlib.sha256(f'{issuer} {url}'.encode()).hexdigest()[:40]}"


def _greatest_lifetime(workload: dict[str, Any], *, now: datetime) -> timedelta:
    until = workload.get("long_lived_until") or ""
    if until and now.date() <= date.fromisoformat(until):
        return limits.WORKLOAD_TOKEN_LIFETIME_MAX
    return limits.WORKLOAD_TOKEN_LIFETIME
