"""A client gives a token back (RFC 7009), and everything that came of it ends.

A refresh token stands for its whole family, and so does an access token of a family that is one sign-on's or one
exchange's. A service's tokens for one resource are all one family; there the one token is revoked, and what was
exchanged from it.
"""

from django.db import transaction
from django.utils import timezone

from broker.events import catalogue
from broker.events.services import record
from broker.keys.values import VerifiedClaims
from broker.registry.models import Client
from broker.tokens.attempts import Attempt
from broker.tokens.client_auth import authenticate_client
from broker.tokens.errors import InvalidToken
from broker.tokens.families import revoke_exchanged
from broker.tokens.grants import client_credentials
from broker.tokens.liveness import verify_token
from broker.tokens.models import Grant, RefreshToken, RevokedToken
from broker.tokens.refreshing import hashes_of
from broker.tokens.requests import ClientRequest
from broker.tokens.services import grant_named, revoke_grant

REASON = "client"
OTHER_CLIENT = "other_client"


def revoke(request: ClientRequest, *, attempt: Attempt) -> None:
    """Revoke `token` when it is the client's own; nothing happens to what is unknown, over or another client's.

    `token_type_hint` is of no use to us: a token shows what it is. Raises InvalidClient, InvalidRequest.
    """
    client = authenticate_client(request, attempt=attempt)
    raw = request.required("token")
    if "." in raw:
        _revoke_access_token(raw, client, attempt=attempt)
    else:
        _revoke_refresh_token(raw, client, attempt=attempt)


def _revoke_access_token(raw: str, client: Client, *, attempt: Attempt) -> None:
    try:
        verified = verify_token(raw, now=timezone.now(), trace=attempt.trace)
    except InvalidToken:
        return
    grant = grant_named(str(verified.claims["gid"]))
    if grant is None or not _is_own(grant, client, attempt=attempt):
        return
    if grant.grant_type == client_credentials.NAME:
        _revoke_one(verified, grant, attempt=attempt)
    else:
        revoke_grant(grant.pk, reason=REASON, actor=attempt.actor)


def _revoke_refresh_token(raw: str, client: Client, *, attempt: Attempt) -> None:
    """Also one that was used before: who holds it held the family."""
    for row in RefreshToken.objects.select_related("grant").filter(token_hash__in=hashes_of(raw))[:1]:
        if _is_own(row.grant, client, attempt=attempt):
            revoke_grant(row.grant_id, reason=REASON, actor=attempt.actor)


@transaction.atomic
def _revoke_one(verified: VerifiedClaims, grant: Grant, *, attempt: Attempt) -> None:
    """The token is written down before its children are looked for: an exchange meets the one or is met."""
    now, jti = timezone.now(), verified.claims["jti"]
    _, is_first = RevokedToken.objects.get_or_create(
        jti=jti, defaults={"revoked_at": now, "expires_at": verified.expires_at}
    )
    if not is_first:
        return
    exchanged = revoke_exchanged(grant.pk, jti=jti, reason=REASON, now=now)
    record(
        catalogue.TOKEN_REVOKED,
        actor=attempt.actor,
        subject=("grant", grant.pk),
        application=attempt.application,
        jti=jti,
        descendants=len(exchanged),
    )


def _is_own(grant: Grant, client: Client, *, attempt: Attempt) -> bool:
    """Another client's token stays as it is, and its owner can find out who held it."""
    if grant.client_id == client.pk:
        return True
    record(
        catalogue.TOKEN_REFUSED,
        actor=attempt.actor,
        subject=("grant", grant.pk),
        application=attempt.application,
        code="oauth.invalid_token",
        reason=OTHER_CLIENT,
        hop=attempt.trace.hop,
    )
    return False
