"""What follows from the end of a session: each application that took part is told, through the ledger."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from broker import limits
from broker.actors import SYSTEM, Actor, ActorKind
from broker.delivery.enqueueing import NewDelivery, enqueue
from broker.delivery.models import Delivery, Priority
from broker.events.catalogue import SESSION_ENDED
from broker.events.models import Event
from broker.sessions.models import Participant, Session
from federation.logout.ways import ways_of


def read_events(events: Sequence[Event]) -> None:
    """Reader of `session.ended` (settings.EVENT_READERS): one delivery for each participant and way.

    Read twice it tells nobody twice. A session that runs out is not told: each application knows the end of its own.
    """
    ended = {UUID(one.subject_id): one for one in events if one.type == SESSION_ENDED.name}
    if not ended:
        return
    told: dict[UUID, list[Participant]] = {}
    for participant in untold(Q(session_id__in=ended)):
        told.setdefault(participant.session_id, []).append(participant)
    for session_id, participants in told.items():
        event = ended[session_id]
        tell(participants, actor=actor_of(event), cause=event)


def tell_missed(*, now: datetime) -> int:
    """Tell the applications that joined a session in the moment of its end. Returns how many were not told yet.

    A sign-on that was answered then may have committed after the reader looked.
    """
    recent = Session.objects.filter(ended_at__gt=now - limits.LOGOUT_MISSED_WITHIN, ended_at__lte=now)
    ended = list(recent.values_list("pk", flat=True))
    missed = 0
    for first in range(0, len(ended), limits.LOGOUT_SESSIONS_PER_LOOK):
        looked_at = ended[first : first + limits.LOGOUT_SESSIONS_PER_LOOK]
        with transaction.atomic():
            participants = [one for one in untold(Q(session_id__in=looked_at)) if ways_of(one)]
            tell(participants, actor=SYSTEM, cause=None)
        missed += len(participants)
    return missed


def tell(participants: Iterable[Participant], *, actor: Actor, cause: Event | None) -> None:
    """Write a delivery for each of these participants and each of its ways, in the order of urgency of all logouts."""
    rows: dict[str, list[NewDelivery]] = {}
    for participant in participants:
        for way in ways_of(participant):
            rows.setdefault(way.kind, []).append(
                NewDelivery(
                    lane=way.lane,
                    subject=f"session:{participant.pk}",
                    payload={"participant": str(participant.pk)},
                    priority=Priority.URGENT,
                    reference=participant.reference,
                    title=f"End of a session at {participant.application.slug}",
                )
            )
    for kind, deliveries in rows.items():
        enqueue(kind, deliveries, actor=actor, cause=cause)


def untold(which: Q) -> list[Participant]:
    """The participants of `which` that the ledger knows nothing of, with what `ways_of` asks for."""
    found = list(
        Participant.objects.filter(which)
        .select_related("session", "client", "application__service_provider")
        .order_by("joined_at", "pk")
    )
    references = [one.reference for one in found]
    known = set(Delivery.objects.filter(reference__in=references).values_list("reference", flat=True))
    return [one for one in found if one.reference not in known]


def actor_of(event: Event) -> Actor:
    """Who caused the event, as it was recorded."""
    return Actor(ActorKind(event.actor_kind), event.actor_id, event.address, event.trace_id)
