"""How far deliveries are: what was expected, and what became of it. Nothing is green that was not looked at."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import CharField, Count, Min, Q, QuerySet, Value

from broker import limits
from broker.delivery.models import Delivery

State = Delivery.State
WAITING = "waiting"
SETTLED = (State.CONFIRMED.value, State.SKIPPED.value, State.DEAD.value)
LINKS = 100
"""Supersessions that are followed from one row to the one that does its work."""

WINDOW = timedelta(hours=24)
"""How far back the console counts what was settled."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of rows; a superseded one counts as what became of the row that does its work."""

    expected: int
    confirmed: int
    skipped: int
    dead: int
    held: int
    """Of the open ones."""

    @property
    def open(self) -> int:
        """Not decided yet."""
        return self.expected - self.confirmed - self.skipped - self.dead

    @property
    def is_green(self) -> bool:
        """Whether there was something to do, and each of it was confirmed or skipped for a reason."""
        return self.expected > 0 and self.confirmed + self.skipped == self.expected


def progress(*, reference: str) -> Progress:
    """Of the rows with this reference."""
    return _count(Delivery.objects.filter(reference=reference))


def counts(lane: str) -> Progress:
    """Of the rows in this lane that are kept; one that was superseded is not counted beside its successor."""
    return _count(Delivery.objects.filter(lane=lane).exclude(state=State.SUPERSEDED))


def _count(rows: QuerySet[Delivery]) -> Progress:
    states: Counter[str] = Counter()
    held = 0
    for state, is_held, number in (
        rows.exclude(state=State.SUPERSEDED).values_list("state", "hold").order_by().annotate(Count("pk"))
    ):
        states[state] += number
        held += number if is_held and state in {State.PENDING, State.RETRYING} else 0
    followed = Counter(rows.filter(state=State.SUPERSEDED).order_by().values_list("superseded_by", flat=True))
    states.update(_follow(followed))
    return Progress(
        expected=sum(states.values()),
        confirmed=states[State.CONFIRMED],
        skipped=states[State.SKIPPED],
        dead=states[State.DEAD],
        held=held,
    )


def _follow(numbers: Counter[int | None]) -> Counter[str]:
    """The states of the rows with these ids, or of those that do their work; `numbers` says how often each counts."""
    found: Counter[str] = Counter()
    for _ in range(LINKS):
        if not numbers:
            break
        wanted = [key for key in numbers if key is not None]
        ends: Iterable[tuple[int, str, int | None]] = Delivery.objects.filter(pk__in=wanted).values_list(
            "pk", "state", "superseded_by"
        )
        following: Counter[int | None] = Counter()
        for key, state, successor in ends:
            if state == State.SUPERSEDED:
                following[successor] += numbers.pop(key)
            else:
                found[state] += numbers.pop(key)
        found[State.PENDING] += sum(numbers.values())  # pruned before its predecessor: nobody knows
        numbers = following
    found[State.PENDING] += sum(numbers.values())
    return found


@dataclass(frozen=True, slots=True)
class Standing:
    """The whole queue at one moment, beside what was settled since `since`."""

    since: datetime
    confirmed: int
    skipped: int
    dead: int
    waiting: int
    """Of them `held` by somebody's decision, and `late` that should have arrived."""
    held: int
    late: int
    due_since: datetime | None
    """Since when the one that has been due longest waits for its attempt."""

    @property
    def expected(self) -> int:
        """What was to be delivered: all that was settled since, and all that is not."""
        return self.confirmed + self.skipped + self.dead + self.waiting

    @property
    def is_green(self) -> bool:
        """Whether there was something to do, and nothing of it is left."""
        return self.expected > 0 and not self.dead and not self.waiting


def standing(now: datetime) -> Standing:
    """Of all lanes; what was settled counts for `WINDOW`, dead letters as long as they are there. One query."""
    since = now - WINDOW
    found = _counted(now, since)
    numbers = {part: found[part][1] if part in found else 0 for part in (WAITING, *SETTLED)}
    _, _, held, late, due_since = found.get(WAITING, (WAITING, 0, 0, 0, None))
    return Standing(
        since=since,
        confirmed=numbers[State.CONFIRMED],
        skipped=numbers[State.SKIPPED],
        dead=numbers[State.DEAD],
        waiting=numbers[WAITING],
        held=held,
        late=late,
        due_since=due_since,
    )


def _counted(now: datetime, since: datetime) -> dict[str, tuple[str, int, int, int, datetime | None]]:
    """For each part that has any: how many; of what waits also how many are held or late, and since when one is due."""
    rows = Delivery.objects.order_by()
    parts = {
        WAITING: rows.filter(settled_at=None),
        State.DEAD.value: rows.filter(state=State.DEAD),
        State.CONFIRMED.value: rows.filter(state=State.CONFIRMED, settled_at__gte=since),
        State.SKIPPED.value: rows.filter(state=State.SKIPPED, settled_at__gte=since),
    }
    is_late = Q(settled_at=None, must_arrive=True, created_at__lte=now - limits.DELIVERY_LATE)
    is_due = Q(settled_at=None, lease_until=None, hold="", due_at__lte=now)
    first, *others = (
        part.annotate(part=Value(name, CharField()))
        .values("part")
        .annotate(
            number=Count("pk"),
            held=Count("pk", filter=Q(settled_at=None) & ~Q(hold="")),
            late=Count("pk", filter=is_late),
            due_since=Min("due_at", filter=is_due),
        )
        .values_list("part", "number", "held", "late", "due_since")
        for name, part in parts.items()
    )
    return {row[0]: row for row in first.union(*others, all=True)}
