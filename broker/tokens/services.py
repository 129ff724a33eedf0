"""The room's face to others: userinfo, revoking a grant, and forgetting what is over."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from broker import limits
from broker.actors import Actor
from broker.events import catalogue
from broker.events.services import record
from broker.tokens.attempts import Attempt
from broker.tokens.bearer import PresentedToken
from broker.tokens.errors import InvalidToken
from broker.tokens.families import revoke_family
from broker.tokens.issuing import release_claims, userinfo_audience
from broker.tokens.liveness import SKEW
from broker.tokens.models import AuthorizationCode, Grant, RevokedToken
from broker.tokens.verification import verify_access_token


def answer_userinfo(presented: PresentedToken, *, attempt: Attempt) -> dict[str, Any]:
    """The claims of the person behind an access token (OpenID Connect Core 5.3). Raises InvalidToken and its like."""
    live = verify_access_token(
        presented, audience=userinfo_audience(), needed_scope="openid", attempt=attempt, now=timezone.now()
    )
    if live.grant.person is None or live.grant.session is None:
        raise InvalidToken("no_session", expected="a person's own sign-on", actual="none")
    claims = release_claims(live.grant, client=live.client, scopes=live.scopes)
    return claims | {"sub": live.claims["sub"]}


def grant_named(raw_grant_id: str) -> Grant | None:
    """The grant that a token names, whatever became of it; None when there is none."""
    try:
        pk = UUID(raw_grant_id)
    except ValueError:
        return None
    return next(iter(Grant.objects.filter(pk=pk)[:1]), None)


@transaction.atomic
def revoke_grant(grant_id: UUID, *, reason: str, actor: Actor) -> bool:
    """Revoke a grant with all its tokens and all that was exchanged from them, for good.

    Returns whether it was this call that revoked it.
    """
    revoked = revoke_family([grant_id], reason=reason, now=timezone.now())
    if grant_id not in revoked:
        return False
    grant = Grant.objects.select_related("client__application", "session__identity_provider").get(pk=grant_id)
    record(
        catalogue.GRANT_REVOKED,
        actor=actor,
        subject=("grant", grant_id),
        connection=grant.session.identity_provider.slug if grant.session else "",
        application=grant.client.application.slug if grant.client.application else "",
        reason=reason,
        client=grant.client.client_id,
        person=str(grant.person_id or ""),
        descendants=len(revoked) - 1,
    )
    return True


def forget_ended(*, now: datetime) -> int:
    """Delete codes and grants, with their tokens, that ended longer ago than `limits.GRANT_RETENTION`.

    A redeemed code goes with its grant, so that its second use is noticed for as long as there is something to revoke.
    A token that was revoked by itself is forgotten once it would have expired on every server's clock.
    """
    before = now - limits.GRANT_RETENTION
    RevokedToken.objects.filter(expires_at__lt=now - SKEW).delete()
    _, of_grants = Grant.objects.filter(expires_at__lt=before).delete()
    _, of_codes = AuthorizationCode.objects.filter(grant=None, expires_at__lt=before).delete()
    return of_grants.get("tokens.Grant", 0) + of_codes.get("tokens.AuthorizationCode", 0)
