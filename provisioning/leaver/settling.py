"""Settling: each door of a case says how it stands; what changed is told to the book, and incidents are opened."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from broker import limits
from broker.actors import SYSTEM, Actor
from broker.events import catalogue
from provisioning.leaver.digests import item_digest
from provisioning.leaver.doors.table import DOORS
from provisioning.leaver.judging import state_of
from provisioning.leaver.models import Case, Item
from provisioning.leaver.telling import tell

INCIDENTS = (
    ("late_at", catalogue.LEAVER_LATE),
    ("lied_at", catalogue.LEAVER_TARGET_LIED),
    ("returned_at", catalogue.LEAVER_ACCESS_RETURNED),
)
"""Column that says since when, and the event of its alert."""
SCHEDULE = ("proof", "reading", "reread", "read_next_at")
SAVED = [field.name for field in Item._meta.concrete_fields if field.name not in ("id", "case", "kind", "reference")]


def settle_due(*, now: datetime) -> int:
    """Look at every live case whose time has come, each in a transaction of its own. Returns how many."""
    due = Case.objects.filter(closed_at=None, look_at__lte=now).order_by("look_at")
    ids = list(due.values_list("pk", flat=True)[: limits.LEAVER_CASES_PER_RUN])
    return sum(_settle_due(case_id, now=now) for case_id in ids)


@transaction.atomic
def _settle_due(case_id: UUID, *, now: datetime) -> bool:
    """Unless another worker has just looked."""
    case = Case.objects.select_for_update().filter(pk=case_id, closed_at=None, look_at__lte=now).first()
    if case is not None:
        settle(case, list(case.items.all()), now=now)
    return case is not None


@transaction.atomic
def settle_case(case_id: UUID, *, now: datetime) -> Case | None:
    """Look at one case; None when it is over. A second call at the same moment finds nothing left to do."""
    case = Case.objects.select_for_update().filter(pk=case_id, closed_at=None).first()
    if case is not None:
        settle(case, list(case.items.all()), now=now)
    return case


def settle(
    case: Case,
    items: Sequence[Item],
    *,
    now: datetime,
    actor: Actor = SYSTEM,
    first: Callable[[], None] | None = None,
) -> None:
    """Let all doors look, tell the book what changed, and save. The caller holds the case's row in a transaction.

    `first` is what an operator decided about the items, made part of the same look.
    """
    before = {item.pk: _standing(item) for item in items}
    if first is not None:
        first()
    for door in DOORS:
        if mine := [item for item in items if item.kind == door.kind]:
            door.look(case, mine, now=now)
    for item in items:
        ended_at = item.settled_at or now
        if item.late_at is None and ended_at > item.deadline:
            item.late_at = ended_at
    touched = [item for item in items if _standing(item) != before[item.pk]]
    if touched:
        Item.objects.bulk_update(touched, SAVED)
    state = state_of(items)
    has_turned = state != case.state
    if has_turned:
        case.state, case.state_since = state, now
    _tell(case, touched, before, actor=actor)
    if has_turned and state == Case.State.GREEN:
        tell(case, catalogue.LEAVER_GREEN, actor=actor)
    case.look_at = _next_look(case, items, now=now)
    case.save()


def _tell(case: Case, touched: Sequence[Item], before: Mapping[int, "Standing"], *, actor: Actor) -> None:
    """One event for each kind of incident that is new, and one for whatever else an item claims anew."""
    told: set[int] = set()
    for column, event_type in INCIDENTS:
        new = [item for item in touched if getattr(item, column) and getattr(item, column) != before[item.pk][column]]
        if new:
            tell(case, event_type, new, actor=actor, which=[item.title for item in new][:10])
            told |= {item.pk for item in new}
    rest = [item for item in touched if item.pk not in told and item_digest(item) != before[item.pk]["claim"]]
    if rest:
        tell(case, catalogue.LEAVER_ITEM_SETTLED, rest, actor=actor)


Standing = dict[str, object]


def _standing(item: Item) -> Standing:
    """What of an item is compared, before and after a look."""
    columns = {name: getattr(item, name) for name in (*(column for column, _ in INCIDENTS), *SCHEDULE)}
    return {"claim": item_digest(item), **columns}


def _next_look(case: Case, items: Sequence[Item], *, now: datetime) -> datetime | None:
    """Soon while something is open, later when that lasts; then at the next reading; then never."""
    times = [item.read_next_at for item in items if item.read_next_at is not None]
    if any(item.is_open or item.reading is not None for item in items):
        is_young = now - case.state_since < limits.LEAVER_LOOK_LATER
        times.append(now + (limits.LEAVER_LOOK_INTERVAL if is_young else limits.LEAVER_LOOK_INTERVAL_LATER))
        times += [item.deadline for item in items if item.is_open and item.deadline > now]
    return min(times, default=None)
