"""Telling of credentials that come to their end, and of those that ended by their date."""

from datetime import datetime, timedelta

from django.db.models import Max

from broker import limits
from broker.actors import Actor
from broker.events import catalogue
from broker.events.services import record
from broker.once.services import AlreadyUsed, claim_once
from broker.registry.credentials import Credential, due_credentials
from broker.registry.models import Client, ClientSecret, CredentialKind, CredentialUse
from broker.registry.secrets import record_end

TOLD = "credential_ending"
"""The kind under which it is remembered of which end, at which threshold, the book tells already."""


def tell_credential_endings(*, now: datetime, actor: Actor) -> int:
    """Write an event that names the owner for each credential that ends soon, once at each of
    `limits.CREDENTIAL_EXPIRY_NOTICES`, and one for each that ended by its date. Returns how many credentials were due.

    A threshold that was missed is told with the next one.
    """
    clients = Client.objects.filter(retired_at=None).select_related("application").prefetch_related("secrets")
    due = due_credentials(clients.order_by("pk"), now=now)
    return sum(_tell(client, credential, now=now, actor=actor) for client, credential in due)


def _tell(client: Client, credential: Credential, *, now: datetime, actor: Actor) -> bool:
    if credential.due_at is None or credential.due_at + limits.CREDENTIAL_END_NOTICE < now:
        return False
    if credential.due_at <= now:
        return _tell_end(client, credential, now=now, actor=actor)
    left = credential.due_at - now
    days = min((one for one in limits.CREDENTIAL_EXPIRY_NOTICES if left <= timedelta(days=one)), default=None)
    if days is None or not credential.is_live or not _is_first(client, credential, days):
        return False
    record(
        catalogue.CREDENTIAL_EXPIRING,
        actor=actor,
        subject=("client", client.client_id),
        application=client.application.slug if client.application else "",
        kind=credential.kind,
        name=credential.name,
        owner=client.owner,
        ends_at=credential.due_at.isoformat(),
        last_used_at=_last_use(client, credential),
        days=days,
    )
    return True


def _tell_end(client: Client, credential: Credential, *, now: datetime, actor: Actor) -> bool:
    if credential.kind == CredentialKind.SECRET:
        secret = ClientSecret.objects.select_related("client__application").filter(pk=int(credential.name)).first()
        if secret is None or secret.expires_at is None or secret.expires_at > now:
            return False  # the day by which it should have been rotated passed, and it works on
        return record_end(secret, reason="date", actor=actor)
    if not _is_first(client, credential, 0):
        return False
    record(
        catalogue.CREDENTIAL_ENDED,
        actor=actor,
        subject=("client", client.client_id),
        application=client.application.slug if client.application else "",
        kind=credential.kind,
        name=credential.name,
        reason="date",
        owner=client.owner,
        last_used_at=_last_use(client, credential),
    )
    return True


def _last_use(client: Client, credential: Credential) -> str:
    """When it was used last, so that whoever reads the event sees whether somebody still needs it; "" for never."""
    uses = CredentialUse.objects.filter(client=client, kind=credential.kind, name=credential.name)
    used_at = uses.aggregate(last=Max("last_used_at"))["last"]
    return used_at.isoformat() if used_at else ""


def _is_first(client: Client, credential: Credential, days: int) -> bool:
    """Whether nobody has told this yet; also between two workers."""
    if credential.due_at is None:
        return False
    ends_at = credential.due_at
    try:
        claim_once(
            TOLD,
            f"{client.pk}:{credential.kind}:{credential.name}:{ends_at.isoformat()}:{days}",
            until=ends_at + limits.CREDENTIAL_END_NOTICE,
        )
    except AlreadyUsed:
        return False
    return True
