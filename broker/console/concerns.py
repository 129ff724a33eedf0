"""What somebody has to see on the overview: what is late, dead, stopped, in conflict, or waits for a decision."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils.module_loading import import_string

from broker.delivery.models import Lane
from broker.delivery.progress import standing
from broker.directory.models import Conflict

LANES = "admin:delivery_lane_changelist"
DELIVERIES = "admin:delivery_delivery_changelist"


@dataclass(frozen=True, slots=True)
class Concern:
    """One kind of thing, how many there are of it, and the page that lists them (`page` with `query`)."""

    text: str
    number: int
    page: str
    query: str = ""
    is_bad: bool = False
    """Whether one of it is one too many."""


@dataclass(frozen=True, slots=True)
class Concerns:
    """`watched` is how many rows stand behind the numbers: 0 of them prove nothing."""

    rows: list[Concern]
    watched: int


def read_concerns(*, now: datetime) -> Concerns:
    """Ours, and those of the rooms above that `settings.CONCERN_READERS` names, the leavers first."""
    rows: list[Concern] = []
    watched = 0
    for reader in settings.CONCERN_READERS:
        found: Concerns = import_string(reader)(now=now)
        rows += found.rows
        watched += found.watched
    queue = standing(now)
    rows += _of_deliveries(queue.late, queue.dead, queue.waiting)
    conflicts = Conflict.objects.filter(state=Conflict.State.OPEN).count()
    rows.append(Concern("Open conflicts between sources", conflicts, "admin:directory_conflict_changelist", "", True))
    return Concerns(rows, watched + queue.expected + conflicts)


def _of_deliveries(late: int, dead: int, waiting: int) -> Iterator[Concern]:
    shut = Lane.objects.exclude(state=Lane.State.OPEN).count()
    states = ",".join(state for state in Lane.State.values if state != Lane.State.OPEN)
    yield Concern("Lanes through which nothing goes", shut, LANES, f"state__in={states}", is_bad=True)
    yield Concern("Dead letters", dead, DELIVERIES, "queue=dead", is_bad=True)
    yield Concern("Late deliveries", late, DELIVERIES, "queue=late", is_bad=True)
    yield Concern("Deliveries under way or held back", waiting, DELIVERIES)
