"""Sets of event ids as inclusive ranges in ascending order, and the events within them."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from django.db import DataError
from django.db.models import Q

from broker.events.models import Event

Range = tuple[int, int]
ROWS_PER_QUERY = 2_000
RANGES_PER_QUERY = 100
UNREADABLE = (ValueError, TypeError, ArithmeticError, DataError)
"""What the drivers raise when a column holds something that its type does not know."""
LAST_ID = 2**63 - 1
FIRST_ID = -(2**63) + 1
"""Below every id that a database can hold: an event that somebody hid under a negative id is looked for too."""


def compress(ids: Iterable[int]) -> list[Range]:
    """Ascending ids as ranges: 1, 2, 3, 7 is [(1, 3), (7, 7)]."""
    ranges: list[Range] = []
    for number in ids:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def read_ranges(ids: object) -> list[Range]:
    """The ranges of a stored seal. Raises ValueError when they are not ascending pairs of ids."""
    ranges: list[Range] = []
    for pair in ids if isinstance(ids, list) else [None]:
        if not isinstance(pair, list) or len(pair) != 2 or not all(type(end) is int for end in pair):
            raise ValueError("a range is a pair of ids")
        first, last = pair
        if not 1 <= first <= last <= LAST_ID or (ranges and first <= ranges[-1][1]):
            raise ValueError("ranges ascend")
        ranges.append((first, last))
    return ranges


def union(sets: Iterable[Sequence[Range]]) -> list[Range]:
    """All ids of several sets as one set."""
    merged: list[Range] = []
    for first, last in sorted(part for ranges in sets for part in ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def subtract(ranges: Sequence[Range], holes: Sequence[Range]) -> list[Range]:
    """What is left of `ranges` without `holes`; both ascending and without overlaps."""
    left: list[Range] = []
    start = 0
    for first, last in ranges:
        while start < len(holes) and holes[start][1] < first:
            start += 1
        position = start
        while position < len(holes) and holes[position][0] <= last:
            if holes[position][0] > first:
                left.append((first, holes[position][0] - 1))
            first = holes[position][1] + 1
            position += 1
        if first <= last:
            left.append((first, last))
    return left


def events_within(ranges: Sequence[Range]) -> Q:
    """The condition that an event's id is in one of at most `RANGES_PER_QUERY` ranges."""
    within = Q(pk__in=[])
    for first, last in ranges:
        within |= Q(id__gte=first, id__lte=last)
    return within


def find_events(ranges: Sequence[Range], *, on_unreadable: Callable[[int], None] | None = None) -> Iterator[Event]:
    """The events within `ranges` by ascending id, read in pages: the memory used does not grow with the book.

    A row that somebody broke so that it cannot even be read goes to `on_unreadable`; without it, the error is raised.
    """
    for start in range(0, len(ranges), RANGES_PER_QUERY):
        within = events_within(ranges[start : start + RANGES_PER_QUERY])
        after: int | None = None
        while True:
            rows = Event.objects.filter(within, **({} if after is None else {"id__gt": after})).order_by("id")
            try:
                page = list(rows[:ROWS_PER_QUERY])
                ids = [event.id for event in page]
            except UNREADABLE:
                if on_unreadable is None:
                    raise
                ids = list(rows.values_list("id", flat=True)[:ROWS_PER_QUERY])
                page = list(_read_singly(ids, on_unreadable))
            yield from page
            if len(ids) < ROWS_PER_QUERY:
                break
            after = ids[-1]


def _read_singly(ids: list[int], on_unreadable: Callable[[int], None]) -> Iterator[Event]:
    for number in ids:
        try:
            yield from Event.objects.filter(id=number)
        except UNREADABLE:
            on_unreadable(number)


def describe(ranges: Sequence[Range]) -> str:
    """For people: `3, 5-9`, cut after the tenth range."""
    words = [str(first) if first == last else f"{first}-{last}" for first, last in ranges[:10]]
    return ", ".join(words) + (f" and {len(ranges) - 10} more" if len(ranges) > 10 else "")
