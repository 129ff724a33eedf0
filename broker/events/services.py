"""Writing the book."""

from typing import Any

from django.db import transaction
from django.utils import timezone
from prometheus_client import Counter

from broker.actors import Actor
from broker.events.catalogue import EventType
from broker.events.models import Event
from broker.events.notices import write_notices
from broker.statements import insert

COUNTED = Counter(
    "countersign_events_total",
    "Events recorded, by type, identity provider and code; counted when their transaction commits",
    ["event", "connection", "code"],
)


def record(
    event_type: EventType,
    *,
    actor: Actor,
    subject: tuple[str, object] = ("", ""),
    connection: str = "",
    application: str = "",
    code: str = "",
    **details: Any,
) -> Event:
    """Write one event into the transaction of its cause: when the insert fails, so does what it reports.

    Whoever reads such events (settings.EVENT_READERS) is left a notice in the same transaction.
    `subject` is (kind, id). `details` must be JSON and hold no secret, token or personal value.
    """
    event = as_event(
        event_type,
        actor=actor,
        subject=subject,
        connection=connection,
        application=application,
        code=code,
        **details,
    )
    insert_event(event)
    write_notices(event)
    return event


def insert_event(event: Event) -> None:
    """Write an event that nobody is to read, into this transaction."""
    insert(event)
    transaction.on_commit(lambda: COUNTED.labels(event.type, event.connection, event.code).inc())


def as_event(
    event_type: EventType,
    *,
    actor: Actor,
    subject: tuple[str, object] = ("", ""),
    connection: str = "",
    application: str = "",
    code: str = "",
    **details: Any,
) -> Event:
    """The event, not written yet, for those who write it in another way than `record`."""
    return Event(
        at=timezone.now(),
        type=event_type.name,
        severity=event_type.severity,
        actor_kind=actor.kind,
        actor_id=actor.identifier,
        address=actor.address,
        trace_id=actor.trace_id,
        subject_kind=subject[0],
        subject_id=str(subject[1]),
        connection=connection,
        application=application,
        code=code,
        details=details,
    )
