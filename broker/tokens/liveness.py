"""Is this access token live now? The one path for userinfo, introspection, revocation and exchange.

The token is verified from memory; then one question to the database brings everything that may have changed since,
the registry's version among it, so that what is remembered of parties is never older than the answer. Whatever ended
is over at the next request on every process, and no cache server is asked.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists

from broker import limits
from broker.directory.models import Person
from broker.errors import BrokerError
from broker.keys import jose
from broker.keys.models import SigningKey
from broker.keys.services import public_keys
from broker.keys.values import Envelope, Expectation, VerifiedClaims
from broker.registry.cache import parties
from broker.registry.models import Client, IdentityProvider, Resource
from broker.registry.services import find_resource
from broker.statements import Parameter, Read
from broker.tokens.backing import Backing, check_backing, registry_version
from broker.tokens.checks import run_checks
from broker.tokens.clients import find_named_client
from broker.tokens.errors import InvalidToken
from broker.tokens.issuing import ACCESS_TOKEN_TYPE, userinfo_audience
from broker.tokens.models import Grant, RevokedToken
from broker.traces.collector import Collector

SKEW = timedelta(seconds=5)
"""How far the clocks of our own web servers may differ."""
LONGEST_LIFETIME = timedelta(seconds=limits.RESOURCE_TOKEN_SECONDS_MAX)
ACCESS_TOKEN_TYPES = frozenset({ACCESS_TOKEN_TYPE})
REQUIRED_CLAIMS = frozenset({"sub", "client_id", "jti", "scope", "gid"})
NO_GRANT = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveToken:
    """An access token of ours of which every check has passed, with what stands behind it at this moment."""

    claims: Mapping[str, Any] = field(repr=False)
    grant: Grant
    """With its person and its session, and the session with its identity provider."""
    client: Client
    subject: Person | Client
    identity_provider: IdentityProvider | None
    """Who vouched for the person; None where the subject is a client."""
    resource: Resource | None
    """Its audience; None is our own userinfo endpoint."""
    scopes: tuple[str, ...]
    actors: tuple[Mapping[str, Any], ...]
    jti: str
    expires_at: datetime


def read_live_token(raw: str, *, now: datetime, trace: Collector, audience: str | None = None) -> LiveToken:
    """What stands behind an access token of ours. Raises InvalidToken, whose reason says which check failed.

    `audience` is the one that the caller accepts; None accepts userinfo's and that of every registered resource.
    """
    return find_live_token(verify_token(raw, now=now, trace=trace, audience=audience), now=now, trace=trace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The claims of a token whose signature holds, and what the database and the registry say to them."""

    claims: Mapping[str, Any]
    grant: Grant
    is_token_revoked: bool
    client: Client
    resource: Resource | None
    now: datetime


def check_client(found: Found) -> None:
    """The client is the one to which the grant was given; a successor under the same name is another."""
    if found.grant.client_id != found.client.pk:
        raise InvalidToken("client", actual=found.claims["client_id"])


def check_audience(found: Found) -> None:
    """The audience is the grant's resource, and where that has none our own userinfo endpoint."""
    if found.grant.resource_id != (found.resource.pk if found.resource else None):
        raise InvalidToken("audience", actual=found.resource)


def check_subject(found: Found) -> None:
    """A client that is the subject is the one that the token names; a person's name for a client may be pairwise."""
    if found.grant.person_id is None and _subject_client(found) is None:
        raise InvalidToken("subject", actual=found.claims["sub"])


def check_grant_not_revoked(found: Found) -> None:
    """The family was not revoked."""
    if found.grant.revoked_at is not None:
        raise InvalidToken("revoked", actual=found.grant.revoke_reason)


def check_grant_not_expired(found: Found) -> None:
    """The family goes on."""
    if found.now >= found.grant.expires_at:
        raise InvalidToken("grant_expired", actual=found.grant.expires_at)


def check_token_not_revoked(found: Found) -> None:
    """This one token was not revoked by itself (RFC 7009)."""
    if found.is_token_revoked:
        raise InvalidToken("token_revoked", actual=found.claims["jti"])


LIVENESS_CHECKS: tuple[Callable[[Found], None], ...] = (
    check_client,
    check_audience,
    check_subject,
    check_grant_not_revoked,
    check_grant_not_expired,
    check_token_not_revoked,
)
"""Then follow STANDING_CHECKS, and the flow register."""


def verify_token(raw: str, *, now: datetime, trace: Collector, audience: str | None = None) -> VerifiedClaims:
    """The claims of an access token that we signed and that has not expired (RFC 9068 section 4), from memory alone.

    Whether it is live is another question. Raises InvalidToken.
    """
    envelope = Envelope(
        keys=public_keys(SigningKey.Use.TOKEN), types=ACCESS_TOKEN_TYPES, max_bytes=limits.JWT_BEARER_BYTES
    )

    def expect(signed_audience: frozenset[str]) -> Expectation:
        expected = frozenset({audience}) if audience else signed_audience
        longest = limits.ACCESS_TOKEN_LIFETIME if expected == {userinfo_audience()} else LONGEST_LIFETIME
        return Expectation(
            keys=envelope.keys,
            types=envelope.types,
            max_bytes=envelope.max_bytes,
            issuer=settings.BROKER_BASE_URL,
            audience=expected,
            greatest_age=longest,
            greatest_lifetime=longest,
            skew=SKEW,
            after_expiry=timedelta(0),
            required=REQUIRED_CLAIMS,
            now=now,
        )

    try:
        verified = jose.verify_by_audience(raw, envelope, expect, collector=trace)
        _check_audience_known(verified.audience)
    except BrokerError as error:
        raise InvalidToken(error.code, detail=error.detail, expected=error.expected, actual=error.actual) from error
    return verified


def _check_audience_known(audience: frozenset[str]) -> None:
    only = next(iter(audience))
    if len(audience) != 1 or (only != userinfo_audience() and find_resource(only) is None):
        raise BrokerError("jwt.audience", expected="one resource of ours", actual=", ".join(sorted(audience)))


def find_live_token(verified: VerifiedClaims, *, now: datetime, trace: Collector) -> LiveToken:
    """What stands behind a verified token at this moment. Raises InvalidToken."""
    claims = verified.claims
    grant, is_token_revoked = _ask(str(claims["gid"]), claims["jti"])
    if grant is None:
        raise InvalidToken("unknown_grant")
    client = find_named_client(claims["client_id"])
    if client is None:
        raise InvalidToken("client", actual=claims["client_id"])
    resource = find_resource(next(iter(verified.audience)))
    found = Found(
        claims=claims, grant=grant, is_token_revoked=is_token_revoked, client=client, resource=resource, now=now
    )
    run_checks(LIVENESS_CHECKS, found, trace=trace)
    subject = grant.person or _subject_client(found)
    if subject is None:
        raise InvalidToken("subject")
    scopes = tuple(claims["scope"].split())
    backing = Backing(grant=grant, client=client, subject=subject, resource=resource, scopes=scopes, now=now)
    vouched = check_backing(backing, trace=trace)
    return LiveToken(
        claims=claims,
        grant=grant,
        client=client,
        subject=subject,
        identity_provider=vouched,
        resource=resource,
        scopes=scopes,
        actors=tuple(grant.actors),
        jti=claims["jti"],
        expires_at=verified.expires_at,
    )


def ask_in_vain() -> None:
    """Ask what a token that verifies would have cost, so that one that does not costs as much."""
    _ask(str(NO_GRANT), "")


_QUESTION: Read[Any] = Read(
    lambda: (
        Grant.objects.select_related("person", "session")
        .annotate(
            is_token_revoked=Exists(RevokedToken.objects.filter(jti=Parameter(RevokedToken, "jti"))),
            registry_version=registry_version(),
        )
        .filter(pk=Parameter(Grant, "id"))
        .order_by()
    )
)


def _ask(gid: str, jti: str) -> tuple[Grant | None, bool]:
    """The grant with its person and session, and whether the one token was revoked; all of it in one question."""
    try:
        pk = uuid.UUID(gid)
    except ValueError:
        return None, False
    grant = _QUESTION.first(id=pk, jti=jti)
    if grant is None:
        return None, False
    parties.follow(grant.registry_version or 0)
    return grant, grant.is_token_revoked


def _subject_client(found: Found) -> Client | None:
    client = find_named_client(found.claims["sub"])
    return client if client is not None and client.pk == found.grant.subject_client_id else None
