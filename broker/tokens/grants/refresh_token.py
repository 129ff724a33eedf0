"""grant_type=refresh_token (RFC 6749 section 6), with rotation (RFC 9700 section 4.14.2).

Each token works once. Within `limits.REFRESH_GRACE` after its use it gives the same child again, as long as that child
is unused: the answer may have been lost. Any later use means two holders, and revokes the family.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from broker import limits
from broker.events import catalogue
from broker.registry.cache import parties
from broker.registry.models import Client, Resource
from broker.tokens.attempts import Attempt
from broker.tokens.backing import registry_version
from broker.tokens.checks import run_checks
from broker.tokens.errors import InvalidGrant, InvalidScope, InvalidTarget
from broker.tokens.grants.base import Proposal, Taken
from broker.tokens.models import RefreshToken
from broker.tokens.refreshing import child_of, hashes_of, next_refresh_token
from broker.tokens.requests import TokenRequest
from broker.tokens.scopes import split_scopes

KINDS = frozenset({Client.Kind.SIGN_ON})
CONSUMES = True


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token as it came, with its row."""

    value: str = field(repr=False)
    row: RefreshToken
    now: datetime


def check_not_revoked(presented: Presented) -> None:
    """The family was not revoked."""
    if presented.row.grant.revoked_at is not None:
        raise InvalidGrant("revoked", actual=presented.row.grant.revoke_reason)


def check_not_reused(presented: Presented) -> None:
    """The token is unused, or its one use was a moment ago and its child is unused."""
    used_at = presented.row.used_at
    if used_at is not None and not _may_be_given_again(presented.row, presented.value, now=presented.now):
        raise InvalidGrant("reused", revokes=presented.row.grant_id, actual=used_at)


def check_not_expired(presented: Presented) -> None:
    """Neither the token's idle time nor the family's absolute time is over."""
    if presented.now >= min(presented.row.expires_at, presented.row.grant.expires_at):
        raise InvalidGrant("expired", actual=presented.row.expires_at)


CHECKS: tuple[Callable[[Presented], None], ...] = (
    check_not_revoked,
    check_not_reused,
    check_not_expired,
)


def propose(
    request: TokenRequest, *, client: Client, resource: Resource | None, attempt: Attempt, now: datetime
) -> Proposal:
    """Judge a refresh token. Raises InvalidGrant, InvalidRequest, InvalidTarget. A refresh may narrow, never widen."""
    value = request.required("refresh_token")
    row = _find(value)
    # Another client learns nothing about the token, and cannot revoke its family.
    if row is None or row.grant.client_id != client.pk:
        raise InvalidGrant("unknown" if row is None else "other_client")
    grant = row.grant
    if grant.session is None or grant.person is None:
        raise InvalidGrant("unknown", detail="a refresh token without a session")
    attempt.connection = grant.session.identity_provider.slug
    run_checks(CHECKS, Presented(value, row, now), trace=attempt.trace)
    if resource is not None and resource.pk != grant.resource_id:
        raise InvalidTarget("not_granted", expected="the resource of the grant", actual=resource.identifier)
    granted_sign_on, granted_of_resource = split_scopes(grant.scopes)
    asked_sign_on, asked_of_resource = split_scopes(request.scopes() or grant.scopes)
    if not set(asked_sign_on) <= set(granted_sign_on):
        raise InvalidScope("widened", expected=" ".join(granted_sign_on), actual=" ".join(asked_sign_on))
    return Proposal(
        grant_type=grant.grant_type,
        subject=grant.person,
        scopes=asked_of_resource if grant.resource else (*asked_sign_on, *asked_of_resource),
        ceiling=granted_of_resource if grant.resource else granted_sign_on,
        sign_on_scopes=asked_sign_on,
        # It stays bound, and the key may change: the client authenticates (RFC 9449 section 5).
        bound_to=dict.fromkeys(grant.confirmation, ""),
        resource=grant.resource,
        session=grant.session,
        outlives_session=grant.outlives_session,
        event=catalogue.TOKEN_REFRESHED,
        take=lambda _: Taken(row.grant, _rotate(row, value, attempt=attempt, now=now)),
    )


def _find(value: str) -> RefreshToken | None:
    """The token with everybody behind it; what is asked of parties from here on is as new as this answer."""
    found = RefreshToken.objects.select_related(
        "grant__person", "grant__resource", "grant__session__person", "grant__session__identity_provider__organisation"
    ).annotate(registry_version=registry_version())
    for row in found.filter(token_hash__in=hashes_of(value))[:1]:
        parties.follow(row.registry_version or 0)
        return row
    return None


def _rotate(row: RefreshToken, value: str, *, attempt: Attempt, now: datetime) -> str:
    """Claim the token by a conditional UPDATE. Who loses that race is a moment late and gets the winner's child."""
    if row.used_at is None and RefreshToken.objects.filter(pk=row.pk, used_at=None).update(used_at=now):
        return next_refresh_token(value, row, now=now)
    row.refresh_from_db(fields=["used_at"])
    if not _may_be_given_again(row, value, now=now):
        raise InvalidGrant("reused", revokes=row.grant_id, actual=row.used_at)
    attempt.trace.note("The same child is given again: its first answer may have been lost.")
    return child_of(value)


def _may_be_given_again(row: RefreshToken, value: str, *, now: datetime) -> bool:
    if row.used_at is None or now - row.used_at > limits.REFRESH_GRACE:
        return False
    return RefreshToken.objects.filter(token_hash__in=hashes_of(child_of(value)), used_at=None).exists()
