"""Many rows by one statement, on either database."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from broker.delivery.models import Lane
from broker.rows import update_rows

pytestmark = pytest.mark.django_db
COLUMNS = ("reason", "not_before", "failures")


def make_lanes(count: int) -> list[Lane]:
    Lane.objects.bulk_create([Lane(name=f"lane:{number}") for number in range(count)])
    return list(Lane.objects.order_by("name"))


def test_each_row_gets_its_own_values_by_one_statement() -> None:
    lanes = make_lanes(3)
    now = timezone.now()
    for number, lane in enumerate(lanes):
        lane.reason, lane.failures = f'{number}: "{{}}", \\ and %s', number
        lane.not_before = now + timedelta(hours=number) if number else None
    with CaptureQueriesContext(connection) as captured:
        assert update_rows(lanes, COLUMNS) == 3
    assert len(captured) == 1
    for lane in lanes:
        stored = Lane.objects.get(pk=lane.pk)
        assert (stored.reason, stored.failures, stored.not_before) == (lane.reason, lane.failures, lane.not_before)


def test_what_is_not_named_stays_as_it_is() -> None:
    [lane] = make_lanes(1)
    lane.reason, lane.failures = "new", 7
    assert update_rows([lane], ["reason"]) == 1
    lane.refresh_from_db()
    assert (lane.reason, lane.failures) == ("new", 0)


def test_further_columns_are_set_from_what_stood_there_and_what_is_given() -> None:
    first, second = make_lanes(2)
    Lane.objects.update(failures=5)
    first.reason, second.reason = "one", ""
    also = {"failures": "{row}.failures + CASE WHEN {new[reason]} = '' THEN 1 ELSE 2 END"}
    assert update_rows([first, second], ["reason"], also=also) == 2
    assert list(Lane.objects.order_by("name").values_list("failures", flat=True)) == [7, 6]


def test_rows_that_the_condition_excludes_are_neither_written_nor_counted() -> None:
    first, second = make_lanes(2)
    Lane.objects.filter(pk=first.pk).update(lease="mine")
    first.reason = second.reason = "new"
    assert update_rows([first, second], ["reason"], only="{row}.lease = %s", parameters=["mine"]) == 1
    assert list(Lane.objects.order_by("name").values_list("reason", flat=True)) == ["new", ""]


def test_a_row_that_is_gone_is_not_counted() -> None:
    first, second = make_lanes(2)
    Lane.objects.filter(pk=first.pk).delete()
    assert update_rows([first, second], ["reason"]) == 1


def test_nothing_is_asked_for_no_rows() -> None:
    with CaptureQueriesContext(connection) as captured:
        assert update_rows([], ["reason"]) == 0
    assert len(captured) == 0
