"""Everything that a client or a person holds: the list, and the one action that ends all of it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from broker.actors import Actor
from broker.directory.models import Person
from broker.events import catalogue
from broker.events.services import record
from broker.registry.models import Client
from broker.tokens.families import revoke_family
from broker.tokens.models import AuthorizationCode, Grant


@dataclass(frozen=True, slots=True)
class Ended:
    """What one call ended: grants that were held, what others had exchanged from them, and codes on their way."""

    grants: int
    descendants: int
    codes: int


def holdings_of(holder: Client | Person, *, now: datetime) -> QuerySet[Grant]:
    """The grants of which tokens may be live: of a client those that it holds or that are about it; the newest first.

    Each with its parties, its person, and `refreshed_at`, when it was last refreshed.
    """
    living = Grant.objects.filter(_held_by(holder), revoked_at=None, expires_at__gt=now)
    related = living.select_related("client", "resource", "person", "subject_client")
    return related.annotate(refreshed_at=Max("refresh_tokens__used_at")).order_by("-created_at", "pk")


@transaction.atomic
def revoke_holdings(holder: Client | Person, *, reason: str, actor: Actor) -> Ended:
    """End everything that the client or person holds, with what was exchanged from it, and codes not yet redeemed.

    A client that is still in use, and a person whose account is open, may get new tokens right away.
    """
    now = timezone.now()
    codes = _unredeemed(holder, now=now).update(expires_at=now)
    held = set(holdings_of(holder, now=now).order_by().values_list("pk", flat=True))
    revoked = revoke_family(held, reason=reason, now=now)
    ended = Ended(grants=len(held & set(revoked)), descendants=len(set(revoked) - held), codes=codes)
    if revoked or codes:
        record(
            catalogue.HOLDINGS_REVOKED,
            actor=actor,
            subject=_named(holder),
            reason=reason,
            grants=ended.grants,
            descendants=ended.descendants,
            codes=ended.codes,
        )
    return ended


def _held_by(holder: Client | Person) -> Q:
    if isinstance(holder, Person):
        return Q(person=holder)
    return Q(client=holder) | Q(subject_client=holder)


def _unredeemed(holder: Client | Person, *, now: datetime) -> QuerySet[AuthorizationCode]:
    codes = AuthorizationCode.objects.filter(redeemed_at=None, expires_at__gt=now)
    return codes.filter(session__person=holder) if isinstance(holder, Person) else codes.filter(client=holder)


def _named(holder: Client | Person) -> tuple[str, str | UUID]:
    return ("person", holder.pk) if isinstance(holder, Person) else ("client", holder.client_id)
