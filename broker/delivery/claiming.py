"""Claiming: a carrier makes rows its own, most urgent first, then longest due; of one subject one at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.enqueueing import settle_superseded
from broker.delivery.handlers import LeaseLost, handler_of
from broker.delivery.lanes import Turn, keep_turn
from broker.delivery.models import Delivery, Priority
from broker.leases import new_lease

LOST = "delivery.lost"
LOSSES_TOGETHER = 2
"""A row that was lost as often is attempted alone: it may be what ends the worker."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one kind that belong to this carrier until their lease ends."""

    kind: str
    lease: str
    rows: Sequence[Delivery]


def claim(turn: Turn) -> Batch | None:
    """The next rows of the lane, None when nothing is due. Raises LeaseLost when the turn is another's."""
    with transaction.atomic():
        # Holds the lane's row: claims within one lane follow each other.
        if not keep_turn(turn):
            raise LeaseLost(turn.lane)
        first = _claimable(turn.lane).first()
        if first is None:
            return None
        rows = [first]
        size = _batch_size(turn, first)
        if size > 1:
            more = _claimable(turn.lane).filter(kind=first.kind).exclude(_lost_often())
            rows = list(more.select_for_update(skip_locked=True, of=("self",))[:size])
        return _lease(first.kind, rows)


def has_claimable(lane: str) -> bool:
    """Whether a claim would find something."""
    return _claimable(lane).exists()


def is_outrun(lane: str, rows: Iterable[Delivery]) -> bool:
    """Whether something more urgent than these rows waits in the lane."""
    most_urgent = min(row.priority for row in rows)
    return most_urgent > Priority.URGENT and _claimable(lane).filter(priority__lt=most_urgent).exists()


def release(batch: Batch, rows: Sequence[Delivery]) -> None:
    """Give back what was not attempted, as if it had not been claimed."""
    Delivery.objects.filter(pk__in=[row.pk for row in rows], lease=batch.lease, lease_until__isnull=False).update(
        state=Case(When(attempts__gt=1, then=Value("retrying")), default=Value("pending")),
        attempts=F("attempts") - 1,
        lease="",
        lease_until=None,
        began_at=None,
    )


@transaction.atomic
def supersede_outdated(lane: str) -> int:
    """Settle rows that failed while a newer one of the same came. Returns how many."""
    newer = Delivery.objects.filter(
        lane=OuterRef("lane"),
        subject=OuterRef("subject"),
        kind=OuterRef("kind"),
        settled_at=None,
        pk__gt=OuterRef("pk"),
    )
    waiting = _waiting(lane).filter(Exists(newer), state=Delivery.State.RETRYING)
    outdated = list(waiting.order_by("pk").select_for_update(of=("self",))[: limits.DELIVERY_BATCH])
    settle_superseded(outdated, now=timezone.now(), actor=SYSTEM)
    return len(outdated)


def _waiting(lane: str) -> QuerySet[Delivery]:
    return Delivery.objects.filter(lane=lane, settled_at=None, lease_until=None)


def _claimable(lane: str) -> QuerySet[Delivery]:
    """What is due and held back by nothing: neither by an operator, nor by another row of its subject."""
    others = Delivery.objects.filter(lane=OuterRef("lane"), subject=OuterRef("subject"), settled_at=None)
    before = others.exclude(pk=OuterRef("pk")).filter(Q(pk__lt=OuterRef("pk")) | Q(lease_until__isnull=False))
    due = _waiting(lane).filter(hold="", due_at__lte=timezone.now())
    return due.filter(~Exists(before)).order_by("priority", "due_at", "pk")


def _lost_often() -> Q:
    return Q(reason=LOST, failures__gte=LOSSES_TOGETHER)


def _batch_size(turn: Turn, first: Delivery) -> int:
    is_suspect = first.reason == LOST and first.failures >= LOSSES_TOGETHER
    if turn.circuit.is_trial or is_suspect:
        return 1
    try:
        return max(1, min(handler_of(first.kind).batch, limits.DELIVERY_BATCH))
    except LookupError:
        return limits.DELIVERY_BATCH


def _lease(kind: str, rows: list[Delivery]) -> Batch | None:
    now = timezone.now()
    until = now + limits.DELIVERY_LEASE
    batch = Batch(kind, new_lease(), rows)
    free = Delivery.objects.filter(pk__in=[row.pk for row in rows], settled_at=None, lease_until=None)
    changed = free.update(
        state=Delivery.State.DELIVERING,
        lease=batch.lease,
        lease_until=until,
        began_at=now,
        attempts=F("attempts") + 1,
    )
    if changed != len(rows):
        raise LeaseLost("rows were settled or claimed meanwhile")
    for row in rows:
        row.state, row.lease, row.lease_until, row.began_at = Delivery.State.DELIVERING, batch.lease, until, now
        row.attempts += 1
    return batch if rows else None
