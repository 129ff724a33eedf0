"""Every reader gets every event that it reads, in order, once it is committed; one poison event holds up nobody."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.bell import bell
from broker.events.catalogue import DECISION_READ, PERSON_CHANGED, SESSION_ENDED, TOKEN_ISSUED
from broker.events.grouped import record_durably
from broker.events.models import Event, Notice, ReaderTurn
from broker.events.reading import read_for, read_notices
from broker.events.services import record
from broker.events.tasks import read_notices as task
from broker.leases import new_lease
from tests.broker.events import readers
from tests.broker.events.readers import CHOOSING, FIRST, SECOND

pytestmark = pytest.mark.django_db
NAMES = {name: f"tests.broker.events.readers.{name}" for name in ("FIRST", "SECOND", "CHOOSING")}


@pytest.fixture(autouse=True)
def _readers(settings: Any) -> Iterator[None]:
    for reader in (FIRST, SECOND, CHOOSING):
        reader.reset()
    settings.EVENT_READERS = {
        "person.changed": [NAMES["FIRST"], NAMES["SECOND"]],
        "session.ended": [NAMES["FIRST"]],
        "*": [NAMES["CHOOSING"]],
    }
    yield
    for reader in (FIRST, SECOND, CHOOSING):
        reader.reset()


def change() -> Event:
    return record(PERSON_CHANGED, actor=SYSTEM, subject=("person", "1"))


def waiting(reader: str) -> int:
    return Notice.objects.filter(reader=NAMES[reader]).count()


def test_each_reader_reads_its_events_in_order_and_once() -> None:
    first, ended, second = change(), record(SESSION_ENDED, actor=SYSTEM), change()
    assert read_notices() == 5
    assert (FIRST.readings, SECOND.readings) == ([[first.pk, ended.pk, second.pk]], [[first.pk, second.pk]])
    assert (read_notices(), task(), Notice.objects.count()) == (0, 0, 0)


def test_what_nobody_reads_has_no_notice_and_costs_no_statement() -> None:
    with CaptureQueriesContext(connection) as captured:
        record(DECISION_READ, actor=SYSTEM)
    assert (len(captured), Notice.objects.count()) == (1, 0)


def test_a_notice_of_several_readers_costs_one_statement() -> None:
    with CaptureQueriesContext(connection) as captured:
        change()
    assert len(captured) == 2


def test_a_reader_of_everything_chooses() -> None:
    CHOOSING.wanted = {"decision.read"}
    chosen = record(DECISION_READ, actor=SYSTEM)
    change()
    read_notices()
    assert CHOOSING.readings == [[chosen.pk]]


def test_what_is_rolled_back_is_read_by_nobody() -> None:
    class Undone(Exception):
        pass

    def undo() -> None:
        with transaction.atomic():
            change()
            raise Undone

    with pytest.raises(Undone):
        undo()
    assert (read_notices(), FIRST.readings) == (0, [])


def test_events_that_are_written_many_at_once_have_no_notices() -> None:
    CHOOSING.wanted = {"token.issued"}
    record_durably(TOKEN_ISSUED, actor=SYSTEM)
    assert (Event.objects.filter(type="token.issued").count(), Notice.objects.count()) == (1, 0)


def test_the_bell_rings_after_the_commit_only(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    rung: list[object] = []
    monkeypatch.setattr(bell, "ring", rung.append)
    with django_capture_on_commit_callbacks(execute=True):
        change()
        assert rung == []
    assert rung == [("broker.events.tasks.read_notices", ())]


def test_a_reader_is_handed_so_many_at_once() -> None:
    for _ in range(limits.NOTICES_PER_READING + 1):
        record(SESSION_ENDED, actor=SYSTEM)
    read_notices()
    assert [len(reading) for reading in FIRST.readings] == [limits.NOTICES_PER_READING, 1]


def test_a_poison_event_is_found_in_few_steps_and_the_others_are_read() -> None:
    events = [record(SESSION_ENDED, actor=SYSTEM) for _ in range(limits.NOTICES_PER_READING)]
    poison = events[77]
    FIRST.fails = lambda event: event.pk == poison.pk
    assert read_notices() == limits.NOTICES_PER_READING - 1
    assert len(FIRST.readings) < 20
    read = {pk for reading in FIRST.readings if poison.pk not in reading for pk in reading}
    assert read == {event.pk for event in events} - {poison.pk}
    [left] = Notice.objects.all()
    assert (left.event_id, left.attempts, left.error) == (poison.pk, 1, "RuntimeError")


def test_a_poison_event_is_tried_later_and_later_and_told_once() -> None:
    poison = change()
    FIRST.fails = lambda event: True
    waits = []
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(12):
            read_notices()
            left = Notice.objects.get()
            waits.append(left.due_at - timezone.now())
            assert read_for(NAMES["FIRST"]) == 0, "not before its time"
            clock.move_to(left.due_at)
        FIRST.fails = lambda event: False
        assert read_notices() == 1
    assert waits[:3] == [limits.NOTICE_BACKOFF * factor for factor in (1, 2, 4)]
    assert waits[-1] == limits.NOTICE_BACKOFF_MAX
    [told] = Event.objects.filter(type="notice.failed")
    assert (told.subject_id, told.details) == (str(poison.pk), {"reader": NAMES["FIRST"], "error": "RuntimeError"})


def test_a_reader_that_fails_at_everything_gets_no_notice_of_its_own_failing() -> None:
    CHOOSING.wanted = {"notice.failed", "decision.read"}
    CHOOSING.fails = lambda event: True
    record(DECISION_READ, actor=SYSTEM)
    read_notices()
    assert waiting("CHOOSING") == 1


def test_one_reader_that_fails_does_not_hold_up_another() -> None:
    event = change()
    FIRST.fails = lambda event: True
    read_notices()
    assert (SECOND.readings, waiting("SECOND")) == ([[event.pk]], 0)


def test_what_a_failing_reader_wrote_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(events: object) -> None:
        ReaderTurn.objects.create(reader="written by a reader that fails")
        raise RuntimeError("no")

    monkeypatch.setattr(readers, "FIRST", write)
    change()
    read_notices()
    assert not ReaderTurn.objects.filter(reader__startswith="written").exists()


@pytest.mark.parametrize("error", [OperationalError("away"), KeyboardInterrupt()])
def test_a_database_that_is_away_or_a_worker_that_ends_is_no_events_fault(error: BaseException) -> None:
    change()
    FIRST.fails, FIRST.error = lambda event: True, error
    with pytest.raises(type(error)):
        read_notices()
    assert Notice.objects.get(reader=NAMES["FIRST"]).attempts == 0
    FIRST.reset()
    assert read_for(NAMES["FIRST"]) == 1


def test_nobody_reads_for_a_reader_whose_turn_another_has() -> None:
    change()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        until = timezone.now() + limits.NOTICE_LEASE
        ReaderTurn.objects.create(reader=NAMES["FIRST"], lease=new_lease(), lease_until=until)
        assert (read_for(NAMES["FIRST"]), FIRST.readings) == (0, [])
        clock.shift(limits.NOTICE_LEASE + timedelta(seconds=1))
        assert read_for(NAMES["FIRST"]) == 1


def test_the_turn_of_a_dead_process_is_free_at_once() -> None:
    change()
    dead = new_lease().rpartition("/")[0] + "/1"
    ReaderTurn.objects.create(reader=NAMES["FIRST"], lease=dead, lease_until=timezone.now() + limits.NOTICE_LEASE)
    assert read_for(NAMES["FIRST"]) == 1


def test_who_lost_the_turn_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(reader: str) -> list[Notice]:
        ReaderTurn.objects.update(lease="another's")
        return list(Notice.objects.filter(reader=reader))

    monkeypatch.setattr("broker.events.reading._due", lose)
    change()
    assert read_for(NAMES["FIRST"]) == 0
    assert (FIRST.readings, waiting("FIRST")) == ([], 1)
    assert ReaderTurn.objects.get().lease == "another's", "and leaves the turn to whoever has it"


def test_what_comes_while_the_turn_is_given_back_is_read_in_the_same_run() -> None:
    def once_more(events: object) -> None:
        calls.append(1)
        if len(calls) == 1:
            change()

    calls: list[int] = []
    change()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "FIRST", once_more)
        assert read_for(NAMES["FIRST"]) == 2
    assert waiting("FIRST") == 0
