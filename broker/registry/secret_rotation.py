"""Rotation of client secrets: the new one lives beside the old, which goes when it is no longer used."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max, Min, QuerySet
from django.utils import timezone

from broker import limits
from broker.actors import Actor
from broker.registry.cache import raise_version
from broker.registry.models import Client, ClientSecret, CredentialKind, CredentialUse
from broker.registry.registering.clients import has_secret_authentication
from broker.registry.secrets import LIVE_SECRETS, end_secret, issue_secret
from broker.registry.values import BadValue


@transaction.atomic
def rotate_secret(client: Client, *, overlap: timedelta, actor: Actor) -> str:
    """Give the client a new secret and return it, shown this once; the one in use goes on for `overlap` at most.

    Raises BadValue when the client has no use for a secret, when `overlap` is out of bounds, and while both of two
    live secrets are in use: a third would end one of them under somebody's hands.
    """
    if not has_secret_authentication(client):
        raise BadValue(f"{client.client_id} authenticates by {client.authentication}, which uses no secret")
    if not timedelta(0) < overlap <= limits.CLIENT_SECRET_OVERLAP_MAX:
        raise BadValue(f"the overlap is between a moment and {limits.CLIENT_SECRET_OVERLAP_MAX.days} days")
    now = timezone.now()
    live = list(_live(client, now=now).select_for_update())
    if len(live) >= LIVE_SECRETS:
        _check_unused(live[-1], now=now)
    value = issue_secret(client, actor=actor)
    for older in live[:1]:
        end = now + overlap
        if older.expires_at is None or older.expires_at > end:
            older.expires_at = end
            older.save(update_fields=["expires_at"])
            raise_version()
    return value


def end_unused_secrets(*, now: datetime, actor: Actor) -> int:
    """End the secrets whose successor has taken over: nobody has used them for long, and the successor is used.

    Returns how many.
    """
    rows = ClientSecret.objects.filter(client__retired_at=None).exclude(expires_at__lte=now)
    by_client: dict[int, list[ClientSecret]] = {}
    for secret in rows.select_related("client__application").order_by("client_id", "-created_at", "-pk"):
        by_client.setdefault(secret.client_id, []).append(secret)
    pairs = [secrets for secrets in by_client.values() if len(secrets) > 1]
    return sum(
        end_secret(older, reason="unused", actor=actor)
        for newest, *rest in pairs
        for older in rest
        if _has_taken_over(newest, older, now=now)
    )


def _has_taken_over(newest: ClientSecret, older: ClientSecret, *, now: datetime) -> bool:
    before = now - limits.CLIENT_SECRET_UNUSED
    first_use = _uses(newest).aggregate(first=Min("day"))["first"]
    last_use = _last_use(older) or older.created_at
    return first_use is not None and first_use <= before.date() and last_use <= before


def _check_unused(secret: ClientSecret, *, now: datetime) -> None:
    used_at = _last_use(secret)
    if used_at is not None and now - used_at < limits.CLIENT_SECRET_UNUSED:
        raise BadValue(
            f"two secrets are live, and the older one (secret {secret.pk}) was used at {used_at:%Y-%m-%d %H:%M} UTC: "
            f"change that caller over, or end that secret first"
        )


def _live(client: Client, *, now: datetime) -> QuerySet[ClientSecret]:
    """The newest first."""
    return ClientSecret.objects.filter(client=client).exclude(expires_at__lte=now).order_by("-created_at", "-pk")


def _uses(secret: ClientSecret) -> QuerySet[CredentialUse]:
    return CredentialUse.objects.filter(client_id=secret.client_id, kind=CredentialKind.SECRET, name=str(secret.pk))


def _last_use(secret: ClientSecret) -> datetime | None:
    last: datetime | None = _uses(secret).aggregate(last=Max("last_used_at"))["last"]
    return last
