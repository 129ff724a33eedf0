"""Sets of ids, against Python's own sets."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.events.models import Event
from broker.events.ranges import compress, describe, find_events, read_ranges, subtract, union

ids = st.sets(st.integers(min_value=1, max_value=60))


def spread(ranges: list[tuple[int, int]]) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(ids)
def test_ranges_hold_exactly_the_ids(numbers: set[int]) -> None:
    ranges = compress(sorted(numbers))
    assert spread(ranges) == numbers
    assert all(before[1] + 1 < after[0] for before, after in pairwise(ranges))


@given(ids, ids)
def test_subtract_leaves_what_is_in_the_first_only(numbers: set[int], holes: set[int]) -> None:
    assert spread(subtract(compress(sorted(numbers)), compress(sorted(holes)))) == numbers - holes


@given(ids, ids)
def test_union_holds_what_is_in_either(numbers: set[int], others: set[int]) -> None:
    assert union([compress(sorted(numbers)), compress(sorted(others))]) == compress(sorted(numbers | others))


@pytest.mark.parametrize(
    "ids",
    [None, {}, "1-2", [1], [[1]], [[1, 2, 3]], [["1", "2"]], [[1.0, 2.0]], [[True, True]], [[2, 1]], [[0, 1]],
     [[1, 5], [3, 8]], [[5, 6], [1, 2]], [[1, 2**63]]],
)  # fmt: skip
def test_what_is_not_a_set_of_ids_is_refused(ids: object) -> None:
    with pytest.raises(ValueError):
        read_ranges(ids)


@pytest.mark.django_db
def test_events_come_in_pages_and_in_order(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.events.ranges.ROWS_PER_QUERY", 2)
    monkeypatch.setattr("broker.events.ranges.RANGES_PER_QUERY", 2)
    events = write(9)
    first = events[0].id
    found = find_events([(first, first + 3), (first + 5, first + 5), (first + 7, first + 9)])
    assert [event.id - first for event in found] == [0, 1, 2, 3, 5, 7, 8]


@pytest.mark.django_db
def test_no_range_finds_no_event(write) -> None:
    write(2)
    assert list(find_events([])) == []
    assert Event.objects.count() == 2


def test_a_long_list_is_cut_for_people() -> None:
    assert describe([(1, 1), (3, 9)]) == "1, 3-9"
    assert describe([(2 * n, 2 * n) for n in range(1, 13)]).endswith("20 and 2 more")
