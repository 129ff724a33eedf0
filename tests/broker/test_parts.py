"""Parts: nothing is lost between them, and nothing is read before it is asked for."""

import pytest

from broker.parts import in_parts


@pytest.mark.parametrize(("count", "parts"), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1])])
def test_every_item_is_in_one_part_and_no_part_is_larger(count, parts):
    found = list(in_parts(range(count), 3))
    assert [len(part) for part in found] == parts
    assert [item for part in found for item in part] == list(range(count))


def test_a_part_is_read_when_it_is_asked_for():
    read = []
    parts = in_parts((read.append(number) or number for number in range(10)), 2)
    assert next(parts) == [0, 1]
    assert read == [0, 1]
