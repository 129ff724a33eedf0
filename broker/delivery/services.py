"""What operators and other rooms decide about deliveries and lanes, each with an event."""

from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from broker import limits
from broker.actors import Actor
from broker.delivery.digests import row_digest
from broker.delivery.enqueueing import ensure_lanes, record_settled, wake
from broker.delivery.models import Delivery, Lane
from broker.errors import BrokerError
from broker.events.catalogue import (
    DELIVERY_RETRIED,
    DELIVERY_WRITTEN_OFF,
    HOLD_DROPPED,
    HOLD_RELEASED,
    LANE_PAUSED,
    LANE_RESUMED,
)
from broker.events.services import record

State = Delivery.State
ROWS_AT_ONCE = 500


@transaction.atomic
def retry(delivery: Delivery, *, actor: Actor) -> Delivery:
    """Attempt a dead letter anew, or one that waits for its time at once. Raises BrokerError (delivery.settled, …)."""
    row = _locked(delivery)
    if row.state not in {State.DEAD, State.RETRYING, State.PENDING}:
        raise BrokerError("delivery.settled", actual=row.state)
    now = timezone.now()
    was_dead = row.state == State.DEAD
    row.due_at, row.failures = now, 0
    if was_dead:
        row.state, row.settled_at = State.PENDING, None
        row.late_at = now + limits.DELIVERY_LATE if row.must_arrive else None
    row.save(update_fields=["due_at", "failures", "state", "settled_at", "late_at"])
    record(DELIVERY_RETRIED, actor=actor, subject=("delivery", row.pk), lane=row.lane, was_dead=was_dead)
    wake([row.lane])
    return row


@transaction.atomic
def write_off(delivery: Delivery, *, reason: str, actor: Actor) -> Delivery:
    """Give up what is dead or waits, for a reason that the book keeps. Raises BrokerError (delivery.settled, …)."""
    reason = reason.strip()
    if not reason:
        raise BrokerError("delivery.no_reason")
    row = _locked(delivery)
    if row.state not in {State.DEAD, State.RETRYING, State.PENDING}:
        raise BrokerError("delivery.settled", actual=row.state)
    _skip(row, code="delivery.written_off", reason=reason, now=timezone.now())
    row.save(update_fields=["state", "settled_at", "reason", "detail", "late_at"])
    record(
        DELIVERY_WRITTEN_OFF,
        actor=actor,
        subject=("delivery", row.pk),
        lane=row.lane,
        kind=row.kind,
        reason=reason[:500],
        rows={str(row.pk): row_digest(row)},
    )
    return row


@transaction.atomic
def release_hold(hold: str, *, actor: Actor) -> int:
    """Let go what waits under this hold. Returns how many."""
    held = Delivery.objects.filter(hold=hold, settled_at=None)
    if not hold or not held.exists():
        return 0
    lanes = set(held.values_list("lane", flat=True))
    released = held.update(hold="", due_at=timezone.now())
    record(HOLD_RELEASED, actor=actor, subject=("hold", hold), deliveries=released)
    wake(lanes)
    return released


@transaction.atomic
def drop_hold(hold: str, *, reason: str, actor: Actor) -> int:
    """Skip what waits under this hold, with the reason. Returns how many."""
    dropped = 0
    for rows in _held(hold):
        now = timezone.now()
        for row in rows:
            _skip(row, code="delivery.not_released", reason=reason, now=now)
        Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(
            state=State.SKIPPED,
            settled_at=now,
            reason=rows[0].reason,
            detail=rows[0].detail,
            late_at=None,
        )
        record_settled(rows, actor=actor)
        dropped += len(rows)
    if dropped:
        record(HOLD_DROPPED, actor=actor, subject=("hold", hold), deliveries=dropped, reason=reason[:500])
    return dropped


@transaction.atomic
def pause_lane(name: str, *, reason: str, actor: Actor) -> Lane:
    """Send nothing more in this lane until it is resumed. Raises BrokerError (delivery.no_reason)."""
    if not reason.strip():
        raise BrokerError("delivery.no_reason")
    return _set_lane(name, Lane.State.PAUSED, reason=reason.strip(), actor=actor)


@transaction.atomic
def resume_lane(name: str, *, actor: Actor) -> Lane:
    """Let a lane go on at once, whatever had stopped it."""
    lane = _set_lane(name, Lane.State.OPEN, reason="", actor=actor)
    wake([name])
    return lane


def _locked(delivery: Delivery) -> Delivery:
    row = Delivery.objects.select_for_update().get(pk=delivery.pk)
    if row.state == State.DELIVERING:
        raise BrokerError("delivery.under_way")
    return row


def _skip(row: Delivery, *, code: str, reason: str, now: datetime) -> None:
    row.state, row.settled_at, row.late_at = State.SKIPPED, now, None
    row.reason, row.detail = code, reason[:500]


def _held(hold: str) -> Iterator[list[Delivery]]:
    held = Delivery.objects.filter(hold=hold, settled_at=None, lease_until=None).order_by("pk").select_for_update()
    while hold and (rows := list(held[:ROWS_AT_ONCE])):
        yield rows


def _set_lane(name: str, state: Lane.State, *, reason: str, actor: Actor) -> Lane:
    ensure_lanes([name])
    lane = Lane.objects.select_for_update().get(name=name)
    lane.state, lane.reason, lane.not_before = state, reason[:500], None
    lane.failures = lane.pauses = 0
    lane.changed_by, lane.changed_at = f"{actor.kind}:{actor.identifier}"[:220], timezone.now()
    fields = ["state", "reason", "not_before", "failures", "pauses", "changed_by", "changed_at"]
    lane.save(update_fields=fields)
    event = LANE_PAUSED if state == Lane.State.PAUSED else LANE_RESUMED
    record(event, actor=actor, subject=("lane", name), reason=reason[:500])
    return lane
