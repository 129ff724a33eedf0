"""The doctor and the scrape show what nobody reads, and at what a reader fails."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.events.catalogue import SESSION_ENDED
from broker.events.doctor import check_readers
from broker.events.gauges import read_gauges
from broker.events.reading import read_notices
from broker.events.services import record
from tests.broker.events.readers import FIRST

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _reader(settings: Any) -> Iterator[None]:
    settings.EVENT_READERS = {"session.ended": ["tests.broker.events.readers.FIRST"]}
    yield
    FIRST.reset()


def shown() -> list[float]:
    return [sample.value for metric in read_gauges() for sample in metric.samples]


def test_where_all_is_read_all_is_well() -> None:
    record(SESSION_ENDED, actor=SYSTEM)
    read_notices()
    assert [finding.level for finding in check_readers()] == ["ok"]
    assert shown() == [0, 0, 0]


def test_what_nobody_reads_for_long_is_a_fault() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        record(SESSION_ENDED, actor=SYSTEM)
        clock.shift(limits.NOTICE_UNREAD_MAX)
        assert [finding.level for finding in check_readers()] == ["ok"]
        clock.shift(timedelta(seconds=1))
        [finding] = check_readers()
        assert shown() == [1, 0, limits.NOTICE_UNREAD_MAX.total_seconds() + 1]
    assert (finding.level, "1 events wait" in finding.text) == ("fault", True)


def test_a_reader_that_fails_is_named_with_the_event() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        event = record(SESSION_ENDED, actor=SYSTEM)
        FIRST.fails = lambda event: True
        read_notices()
        clock.shift(limits.NOTICE_UNREAD_MAX + timedelta(seconds=1))
        [finding] = check_readers()
        assert shown() == [1, 1, 0]
    assert finding.level == "fault"
    assert f"readers.FIRST fails at event {event.pk} (RuntimeError)" in finding.text


def test_a_reader_that_this_version_does_not_know_is_named(settings: Any) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        record(SESSION_ENDED, actor=SYSTEM)
        settings.EVENT_READERS = {}
        clock.shift(limits.NOTICE_UNREAD_MAX + timedelta(seconds=1))
        [finding] = check_readers()
    assert (finding.level, finding.text) == ("warning", "nobody reads for tests.broker.events.readers.FIRST")
