"""What the doctor looks at in the ledger: lanes that take nothing, dead letters, what is late, and workers."""

from datetime import datetime

from django.db.models import Exists, OuterRef
from django.utils import timezone

from broker import limits
from broker.delivery.lanes import CARRIED
from broker.delivery.models import Delivery, Lane
from broker.delivery.progress import Standing, standing
from broker.findings import Finding, Level

LANES_NAMED = 5
QUEUE = "Look at Deliveries in the console."


def check_deliveries() -> list[Finding]:
    """The queue as a whole, then what is wrong with it."""
    now = timezone.now()
    found = standing(now)
    problems = [*_check_lanes(), *_check_dead(found), *_check_late(found), *_check_worker(now)]
    if problems:
        return problems
    if not found.expected:
        return [Finding("deliveries", "ok", "nothing was to be delivered in the last 24 hours, and nothing waits")]
    text = f"{found.confirmed} confirmed and {found.skipped} skipped in the last 24 hours, {found.waiting} under way"
    return [Finding("deliveries", "ok", text)]


def _check_lanes() -> list[Finding]:
    lanes = list(Lane.objects.exclude(state=Lane.State.OPEN).order_by("name")[: LANES_NAMED + 1])
    named = ", ".join(f"{lane.name} ({lane.get_state_display()})" for lane in lanes[:LANES_NAMED])
    more = " and others" if len(lanes) > LANES_NAMED else ""
    level: Level = "fault" if any(lane.state == Lane.State.STOPPED for lane in lanes) else "warning"
    remedy = "Mend the receiver or our credentials there, then resume its lane in the console."
    return [Finding("deliveries: lanes", level, f"nothing goes to {named}{more}", remedy)] if lanes else []


def _check_dead(found: Standing) -> list[Finding]:
    text = f"{found.dead} deliveries were given up"
    remedy = f"{QUEUE} Retry them, or write them off with a reason."
    return [Finding("deliveries: dead", "warning", text, remedy)] if found.dead else []


def _check_late(found: Standing) -> list[Finding]:
    text = f"{found.late} deliveries that must arrive have not arrived in their time"
    return [Finding("deliveries: late", "fault", text, QUEUE)] if found.late else []


def _check_worker(now: datetime) -> list[Finding]:
    """What is due in a lane that nobody carries, long after the sweep should have woken somebody."""
    before = now - limits.NOTICE_UNREAD_MAX
    of_lane = Lane.objects.filter(name=OuterRef("lane"), state__in=CARRIED, lease_until=None)
    idle = of_lane.exclude(not_before__gt=before).exclude(carried_at__gt=before)
    due = Delivery.objects.filter(Exists(idle), settled_at=None, lease_until=None, hold="", due_at__lt=before)
    if not due.exists():
        return []
    text = f"what was due {limits.NOTICE_UNREAD_MAX.total_seconds():.0f} s ago waits for a worker"
    return [Finding("deliveries: worker", "fault", text, "Start the worker with its scheduler, and read its log.")]
