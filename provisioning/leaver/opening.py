"""Opening a case when an account is closed, and ending it when the person returns."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from broker.actors import SYSTEM
from broker.directory.models import Person
from broker.events import catalogue
from broker.events.models import Event
from provisioning.leaver.doors.table import DOORS
from provisioning.leaver.judging import state_of
from provisioning.leaver.models import Case, Item
from provisioning.leaver.settling import settle
from provisioning.leaver.telling import tell


@transaction.atomic
def open_case(person_id: UUID, cause: Event, *, now: datetime) -> Case | None:
    """The case of a departure, with an item for everything that is there at this moment; what we can close is closed.

    None when this departure has a case already, or when the person is back by now: nothing of the present is closed
    for a departure of the past.
    """
    person = Person.objects.select_for_update().filter(pk=person_id).first()
    if person is None or person.is_active or Case.objects.filter(person=person, cause_event__gte=cause.pk).exists():
        return None
    for earlier in Case.objects.select_for_update().filter(person=person, closed_at=None):
        _close(earlier, now=now)
    case = Case(person=person, cause_event=cause.pk, left_at=cause.at, opened_at=now, state_since=now)
    items: list[Item] = []
    for door in DOORS:
        found = door.find(case, now=now)
        case.looked_at[str(door.kind)] = len(found)
        items += found
    case.state = state_of(items)
    case.look_at = now
    case.save(force_insert=True)
    Item.objects.bulk_create(items)
    tell(
        case,
        catalogue.LEAVER_OPENED,
        items,
        actor=SYSTEM,
        person=str(person.pk),
        cause=cause.pk,
        left_at=cause.at.isoformat(),
        looked_at=case.looked_at,
    )
    settle(case, items, now=now)
    return case


@transaction.atomic
def end_cases(person_id: UUID, cause: Event, *, now: datetime) -> int:
    """The person returned: cases of departures before `cause` are over, with their history. Returns how many."""
    live = list(Case.objects.select_for_update().filter(person=person_id, closed_at=None, cause_event__lt=cause.pk))
    for case in live:
        _close(case, now=now, cause=cause)
    return len(live)


def _close(case: Case, *, now: datetime, cause: Event | None = None) -> None:
    case.state, case.state_since, case.closed_at, case.look_at = Case.State.RETURNED, now, now, None
    tell(case, catalogue.LEAVER_RETURNED, actor=SYSTEM, cause=cause.pk if cause else 0)
    case.save()
