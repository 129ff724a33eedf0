"""Following the book: who left, who returned, and what the ledger settled (settings.EVENT_READERS)."""

from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from broker.bell import ring
from broker.delivery.models import Delivery
from broker.events import catalogue
from broker.events.models import Event
from broker.parts import in_parts
from broker.sessions.models import Participant
from provisioning.leaver.models import Case
from provisioning.leaver.opening import end_cases, open_case

SETTLE = "provisioning.leaver.tasks.settle"
ROWS_PER_QUERY = 1_000


def read_departures(events: Sequence[Event]) -> None:
    """Open and end cases, in the order of the book."""
    now = timezone.now()
    for event in events:
        for person_id in people_of(event):
            if event.type == catalogue.PERSON_DEACTIVATED.name:
                if open_case(person_id, event, now=now) is not None:
                    ring(SETTLE)
            else:
                end_cases(person_id, event, now=now)


def read_settlements(events: Sequence[Event]) -> None:
    """Look soon at the cases of which a row of the ledger was settled; a case that is watched no more needs none."""
    watched = Case.objects.filter(closed_at=None, look_at__isnull=False)
    if not watched.exists():
        return
    ids = [int(pk) for event in events for pk in event.details.get("rows", {})]
    about = Q(pk__in=[])
    for part in in_parts(ids, ROWS_PER_QUERY):
        about |= _cases_about(part)
    if watched.filter(about).update(look_at=timezone.now()):
        ring(SETTLE)


def _cases_about(delivery_ids: Sequence[int]) -> Q:
    people, cases, participants = set[UUID](), set[UUID](), set[UUID]()
    for subject, reference in Delivery.objects.filter(pk__in=delivery_ids).values_list("subject", "reference"):
        _collect(subject, "person", people)
        _collect(subject, "leaver", cases)
        _collect(reference, "participant", participants)
    people |= set(Participant.objects.filter(pk__in=participants).values_list("session__person_id", flat=True))
    return Q(person__in=people) | Q(pk__in=cases)


def people_of(event: Event) -> Iterator[UUID]:
    """The people whom an event is about: its subject, or the many that its details name."""
    if event.subject_kind == "person" and event.subject_id:
        yield UUID(event.subject_id)
    yield from _ids(event.details.get("people", []))


def _ids(raw_ids: Iterable[str]) -> Iterator[UUID]:
    for raw_id in raw_ids:
        yield UUID(raw_id)


def _collect(text: str, kind: str, found: set[UUID]) -> None:
    name, _, rest = text.partition(":")
    if name == kind:
        found.add(UUID(rest))
