"""The sweep: whatever a killed worker or a lost message left is found here, by whoever sweeps, however often."""

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from broker.actors import SYSTEM
from broker.bell import ring
from broker.delivery.claiming import LOST
from broker.delivery.enqueueing import CARRY
from broker.delivery.lanes import CARRIED
from broker.delivery.models import Attempt, Delivery, Lane
from broker.delivery.outcomes import retry
from broker.delivery.settling import write_outcomes
from broker.events.catalogue import DELIVERY_LATE
from broker.events.services import record
from broker.leases import is_dead

LATE_PER_EVENT = 500


def sweep() -> int:
    """Take back what dead carriers hold, tell what is late, and wake each lane that has something due.

    Returns how many lanes it woke.
    """
    now = timezone.now()
    while _take_back_rows(now):
        pass
    _take_back_lanes(now)
    _tell_late(now)
    lanes = due_lanes(now)
    for lane in lanes:
        ring(CARRY, lane)
    return len(lanes)


def due_lanes(now: datetime) -> list[str]:
    """The lanes that take attempts and have something due, those first that have waited longest for a turn."""
    due = Delivery.objects.filter(lane=OuterRef("name"), hold="", settled_at=None, lease_until=None, due_at__lte=now)
    lanes = Lane.objects.filter(
        Exists(due), Q(not_before=None) | Q(not_before__lte=now), state__in=CARRIED, lease_until=None
    )
    return list(lanes.order_by(F("carried_at").asc(nulls_first=True), "name").values_list("name", flat=True))


@transaction.atomic
def _take_back_rows(now: datetime) -> int:
    """Note the attempts of lapsed leases as lost, one lease at a time. Returns how many rows there were."""
    leased = Delivery.objects.filter(lease_until__isnull=False)
    ends = leased.order_by("lease").values_list("lease", "lease_until").distinct()
    lapsed = next((lease for lease, until in ends if _has_lapsed(lease, until, now)), None)
    if lapsed is None:
        return 0
    rows = list(leased.filter(lease=lapsed).order_by("pk").select_for_update())
    # Its carrier may have renewed or settled it meanwhile.
    rows = [row for row in rows if _has_lapsed(row.lease, row.lease_until, now)]
    write_outcomes([(row, retry(LOST, is_unanswered=False)) for row in rows], lease=lapsed, ended=Attempt.Outcome.LOST)
    return len(rows)


def _take_back_lanes(now: datetime) -> None:
    for name, lease, until in Lane.objects.exclude(lease_until=None).values_list("name", "lease", "lease_until"):
        if _has_lapsed(lease, until, now):
            Lane.objects.filter(name=name, lease=lease, lease_until=until).update(lease="", lease_until=None)


def _has_lapsed(lease: str, until: datetime | None, now: datetime) -> bool:
    return until is not None and (until < now or is_dead(lease))


@transaction.atomic
def _tell_late(now: datetime) -> None:
    late = Delivery.objects.filter(late_at__isnull=False, late_at__lte=now, settled_at=None)
    rows = list(late.order_by("lane", "pk").select_for_update(skip_locked=True)[:LATE_PER_EVENT])
    lanes: dict[str, list[int]] = {}
    for row in rows:
        lanes.setdefault(row.lane, []).append(row.pk)
    for lane, ids in lanes.items():
        record(DELIVERY_LATE, actor=SYSTEM, subject=("lane", lane), lane=lane, ids=ids)
    Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(late_at=None)
