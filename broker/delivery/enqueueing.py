"""Into the ledger: rows written in the transaction of their cause, in a few statements however many there are."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from broker import limits
from broker.actors import Actor
from broker.bell import ring
from broker.delivery.digests import row_digest
from broker.delivery.models import Delivery, Lane, Priority
from broker.events.catalogue import DELIVERY_SETTLED
from broker.events.models import Event
from broker.events.services import record

CARRY = "broker.delivery.tasks.carry"
SWEEP = "broker.delivery.tasks.sweep"
LANES_RUNG = 20
"""Lanes that are woken one by one; for more of them the sweep is."""
ROWS_PER_STATEMENT = 1_000
LANES_LOCK = 5_124_310
"""Names the lock among PostgreSQL's advisory ones, of which we have no other."""


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """What shall reach whom.

    `lane` names the receiver, `subject` what it is about: of one lane and subject one row is under way at a time, and a
    newer one of the same kind takes the place of one that has not begun. `payload` is JSON and holds ids, no secret.
    `reference` is what the console counts by (`progress`), `title` is for people. With `must_arrive` it is never given
    up, and operators are told when it is late. With a `hold` it waits until `release_hold`. `takes_hold`: whether it
    also waits under the hold of the one whose place it takes; not where it undoes what was held back.
    """

    lane: str
    subject: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    priority: Priority = Priority.NORMAL
    reference: str = ""
    title: str = ""
    must_arrive: bool = False
    hold: str = ""
    takes_hold: bool = True


def enqueue(kind: str, rows: Iterable[NewDelivery], *, actor: Actor, cause: Event | None = None) -> list[Delivery]:
    """Write these rows and wake their lanes after the commit. Of two for one lane and subject the later is written.

    A row takes the hold (see `takes_hold`), the urgency and the duty to arrive of the one that it supersedes.
    Raises LookupError for a kind without a handler, ValueError for a payload above `limits.DELIVERY_PAYLOAD_BYTES`.
    """
    if kind not in settings.DELIVERY_HANDLERS:
        raise LookupError(f"no handler carries deliveries of the kind {kind}")
    wanted: dict[tuple[str, str], NewDelivery] = {}
    for row in rows:
        _check_payload(row.payload)
        key = (row.lane, row.subject)
        wanted[key] = _inherit(row, wanted[key]) if key in wanted else row
    keys = list(wanted)
    written: list[Delivery] = []
    with transaction.atomic(savepoint=False):
        ensure_lanes({lane for lane, _ in keys})
        for start in range(0, len(keys), ROWS_PER_STATEMENT):
            chunk = {key: wanted[key] for key in keys[start : start + ROWS_PER_STATEMENT]}
            written += _write(kind, chunk, actor=actor, cause=cause)
        wake({lane for lane, _ in keys})
    return written


def ensure_lanes(names: Iterable[str]) -> None:
    """A row for each lane, in the caller's transaction.

    One transaction at a time makes lanes. Of two that enqueue more than once, in other orders, each would wait for the
    other's lane: PostgreSQL ends one of them with all that it wrote. Where the lanes are there nobody waits.
    """
    names = sorted(set(names))
    known = set(Lane.objects.filter(name__in=names).values_list("name", flat=True))
    missing = [name for name in names if name not in known]
    if missing:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LANES_LOCK])
        Lane.objects.bulk_create([Lane(name=name) for name in missing], ignore_conflicts=True)


def wake(lanes: Iterable[str]) -> None:
    """Ring for these lanes once the transaction is committed."""
    lanes = sorted(set(lanes))
    if len(lanes) > LANES_RUNG:
        ring(SWEEP)
        return
    for lane in lanes:
        ring(CARRY, lane)


def settle_superseded(rows: Sequence[Delivery], *, now: datetime, actor: Actor) -> None:
    """Settle rows, none of them leased, whose work the newest row of their kind, lane and subject does."""
    if not rows:
        return
    for row in rows:
        row.state, row.settled_at = Delivery.State.SUPERSEDED, now
    of_same = Delivery.objects.filter(
        lane=OuterRef("lane"), subject=OuterRef("subject"), kind=OuterRef("kind"), settled_at=None
    )
    newest = Subquery(of_same.order_by("-pk").values("pk")[:1])
    Delivery.objects.filter(pk__in=[row.pk for row in rows], lease_until=None).update(
        state=Delivery.State.SUPERSEDED, settled_at=now, superseded_by=newest
    )
    record_settled(rows, actor=actor)


def record_settled(rows: Sequence[Delivery], *, actor: Actor) -> None:
    """One event for each lane and kind of these settled rows, with each row's digest."""
    parts: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        parts.setdefault((row.lane, row.kind), {})[str(row.pk)] = row_digest(row)
    for (lane, kind), digests in parts.items():
        record(DELIVERY_SETTLED, actor=actor, subject=("lane", lane), lane=lane, kind=kind, rows=digests)


def _write(
    kind: str, wanted: Mapping[tuple[str, str], NewDelivery], *, actor: Actor, cause: Event | None
) -> list[Delivery]:
    now = timezone.now()
    older = _find_older(kind, list(wanted))
    rows = dict(wanted)
    for old in older:
        key = (old.lane, old.subject)
        rows[key] = _inherit(rows[key], old)
    made = [_row(kind, row, now=now, actor=actor, cause=cause) for row in rows.values()]
    Delivery.objects.bulk_create(made)
    settle_superseded(older, now=now, actor=actor)
    return made


def _find_older(kind: str, keys: Sequence[tuple[str, str]]) -> list[Delivery]:
    """The rows of the same that wait, locked: what is being attempted goes on, and comes before."""
    waiting = Delivery.objects.filter(
        lane__in={lane for lane, _ in keys},
        subject__in={subject for _, subject in keys},
        kind=kind,
        settled_at=None,
        lease_until=None,
    )
    asked = set(keys)
    found = waiting.order_by("pk").select_for_update()
    return [row for row in found if (row.lane, row.subject) in asked]


def _check_payload(payload: Mapping[str, Any]) -> None:
    if payload and len(json.dumps(dict(payload))) > limits.DELIVERY_PAYLOAD_BYTES:
        raise ValueError(f"a payload of more than {limits.DELIVERY_PAYLOAD_BYTES} bytes")


def _inherit(row: NewDelivery, older: NewDelivery | Delivery) -> NewDelivery:
    return replace(
        row,
        hold=row.hold or (older.hold if row.takes_hold else ""),
        priority=Priority(min(row.priority, older.priority)),
        must_arrive=row.must_arrive or older.must_arrive,
    )


def _row(kind: str, row: NewDelivery, *, now: datetime, actor: Actor, cause: Event | None) -> Delivery:
    return Delivery(
        kind=kind,
        lane=row.lane,
        subject=row.subject,
        reference=row.reference,
        title=row.title[:200],
        payload=dict(row.payload),
        priority=row.priority,
        must_arrive=row.must_arrive,
        hold=row.hold,
        due_at=now,
        late_at=now + limits.DELIVERY_LATE if row.must_arrive else None,
        cause_event_id=cause.pk if cause else None,
        trace_id=actor.trace_id or (cause.trace_id if cause else ""),
        actor=f"{actor.kind}:{actor.identifier}"[:220],
        created_at=now,
    )
