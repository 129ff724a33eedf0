"""Verification: whoever owns the database may change what they like, and is found out at the place."""

import json
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from broker import limits
from broker.actors import SYSTEM
from broker.events.models import Event, Seal
from broker.events.pruning import prune_events
from broker.events.report import Verification
from broker.events.sealing import seal_digest, seal_events
from broker.events.verification import verify_book
from broker.keys.models import SigningKey
from broker.keys.services import announce_key, rotate
from tests.flush import without_triggers

Write = Callable[..., list[Event]]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signer")]


def verify(log: Path) -> Verification:
    return verify_book(log, now=timezone.now())


def places(log: Path) -> dict[str, str]:
    """Each place with its texts."""
    return {problem.place: problem.text for problem in verify(log).problems}


def execute(statement: str, *parameters: Any) -> None:
    """As the database's owner: past the triggers and past SQLite's checks."""
    with without_triggers(), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = ON")
        cursor.execute(statement, parameters)
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = OFF")


@pytest.fixture
def book(log: Path, write: Write) -> list[Event]:
    """Three seals over four events each, and more from the signer under the first."""
    events = []
    for _ in range(3):
        events += write(4)
        assert seal_events(timezone.now())
    return events


# --- A book as it should be -----------------------------------------------------------------------------------------
def test_an_untouched_book_has_no_problem_and_says_how_much_was_looked_at(book: list[Event], log: Path) -> None:
    outcome = verify(log)
    assert outcome.problems == []
    assert (outcome.events, outcome.seals, outcome.lines) == (Event.objects.count(), 3, 4)
    assert outcome.statements == ["Every event is sealed."]


def test_an_empty_book_says_that_nothing_was_checked(log: Path) -> None:
    execute("DELETE FROM events_event")
    outcome = verify(log)
    assert (outcome.events, outcome.problems) == (0, [])
    assert outcome.statements == ["There is no event."]


def test_late_events_and_ids_that_were_never_used_are_no_problem(log: Path, write: Write) -> None:
    rng = random.Random(5)
    start = write()[0].id + 1
    ids = list(range(start, start + 60))
    late = set(rng.sample(ids, 12))
    never = set(rng.sample(sorted(set(ids) - late), 8))
    for position, event_id in enumerate(sorted(set(ids) - late - never)):
        write(event_id=event_id)
        if position % 7 == 6:
            seal_events(timezone.now())
            if late:
                write(event_id=late.pop())
    for event_id in late:
        write(event_id=event_id)
    seal_events(timezone.now())
    outcome = verify(log)
    assert outcome.problems == []
    assert outcome.events == Event.objects.count()


def test_the_unsealed_tail_is_stated_with_its_age(book: list[Event], log: Path, write: Write) -> None:
    with time_machine.travel(timezone.now() + timedelta(minutes=1), tick=False):
        write(2)
        with time_machine.travel(timezone.now() + timedelta(seconds=30), tick=False):
            outcome = verify(log)
    assert outcome.problems == []
    assert outcome.statements[0].startswith("2 events are not sealed yet, the oldest for 30 s")


def test_a_late_event_that_waits_for_the_next_seal_is_part_of_the_tail(log: Path, write: Write) -> None:
    gap = write()[0].id + 1
    write(event_id=gap + 1)
    seal_events(timezone.now())
    write(event_id=gap)
    outcome = verify(log)
    assert outcome.problems == []
    assert outcome.statements[0].startswith("1 events are not sealed yet")


def test_a_tail_that_nobody_seals_is_a_problem(book: list[Event], log: Path, write: Write) -> None:
    [event] = write()
    with time_machine.travel(timezone.now() + limits.EVENT_UNSEALED_MAX + timedelta(seconds=1)):
        assert "no sealer runs" in places(log)[f"event {event.id}"]


def test_verification_reads_a_book_in_pages(
    log: Path, write: Write, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(20):
        write(5)
        seal_events(timezone.now())
    with django_assert_max_num_queries(45):
        assert verify(log).problems == []


# --- Events ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("type", "login.succeeded"),
        ("severity", "alert"),
        ("actor_id", "mallory"),
        ("address", "192.0.2.9"),
        ("code", "saml.expired"),
        ("connection", "other"),
        ("trace_id", "AAAAA-AAAAA"),
        ("details", '{"number": 7}'),
        ("at", "2020-01-01 00:00:00+00:00"),
    ],
)
def test_a_changed_event_is_named(book: list[Event], log: Path, column: str, value: str) -> None:
    execute(f"UPDATE events_event SET {column} = %s WHERE id = %s", value, book[5].id)
    seal = Seal.objects.order_by("id")[1]
    assert places(log) == {f"event {book[5].id}": f"changed since seal {seal.id} was made"}


def test_a_removed_event_is_named(book: list[Event], log: Path) -> None:
    execute("DELETE FROM events_event WHERE id IN (%s, %s, %s)", book[4].id, book[5].id, book[9].id)
    assert set(places(log)) == {f"events {book[4].id}-{book[5].id}", f"event {book[9].id}"}
    assert all("removed" in text for text in places(log).values())


def test_two_events_that_changed_places_are_both_named(book: list[Event], log: Path) -> None:
    one, other = book[1].id, book[6].id
    execute("UPDATE events_event SET id = -1 WHERE id = %s", one)
    execute("UPDATE events_event SET id = %s WHERE id = %s", one, other)
    execute("UPDATE events_event SET id = %s WHERE id = -1", other)
    assert set(places(log)) == {f"event {one}", f"event {other}"}


@pytest.mark.parametrize("event_id", ["gap", 0, -7])
def test_an_event_that_was_inserted_among_old_ones_is_named(log: Path, write: Write, event_id: int | str) -> None:
    before = write()[0].id
    write(event_id=before + 2)
    seal_events(timezone.now())
    with time_machine.travel(timezone.now() + limits.EVENT_LATENESS + timedelta(minutes=1)):
        write(event_id=before + 3)
        seal_events(timezone.now())
        chosen = before + 1 if event_id == "gap" else event_id
        write(event_id=chosen, at=timezone.now() - timedelta(hours=2))
        seal_events(timezone.now())
        assert set(places(log)) == {f"event {chosen}"}
    with time_machine.travel(timezone.now() + timedelta(hours=5)):
        write(event_id=before + 4)
        seal_events(timezone.now())
        assert set(places(log)) == {f"event {chosen}"}


def test_a_removal_is_named_although_another_event_took_the_number(book: list[Event], log: Path, write: Write) -> None:
    execute("DELETE FROM events_event WHERE id = %s", book[3].id)
    write(event_id=book[3].id)
    assert set(places(log)) == {f"event {book[3].id}"}


def test_a_change_is_found_even_when_its_mark_was_changed_too(book: list[Event], log: Path) -> None:
    seal = Seal.objects.order_by("id")[1]
    execute("UPDATE events_event SET code = 'x' WHERE id = %s", book[5].id)
    execute("UPDATE events_seal SET row_marks = %s WHERE id = %s", "0" * len(seal.row_marks), seal.id)
    assert f"event {book[5].id}" in places(log)


@pytest.mark.parametrize("column", ["details", "at"])
def test_an_event_that_cannot_even_be_read_is_named(book: list[Event], log: Path, column: str) -> None:
    broken = {"sqlite": {"details": "{", "at": "yesterday"}, "postgresql": {"details": "3", "at": "infinity"}}
    execute(f"UPDATE events_event SET {column} = %s WHERE id = %s", broken[connection.vendor][column], book[5].id)
    assert set(places(log)) == {f"event {book[5].id}"}


# --- Seals ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "2020-01-01 00:00:00+00:00"),
        ("until_id", 1),
        ("rows_digest", "0" * 64),
        ("ids", "[[1, 1]]"),
        ("ids", "{}"),
        ("count", 1),
        ("signature", "e30.e30.e30"),
        ("previous_digest", "f" * 64),
    ],
)
def test_a_changed_seal_is_named(book: list[Event], log: Path, column: str, value: object) -> None:
    seal = Seal.objects.order_by("id")[1]
    execute(f"UPDATE events_seal SET {column} = %s WHERE id = %s", value, seal.id)
    assert f"seal {seal.id}" in places(log)


def test_a_seal_whose_digest_was_made_to_fit_is_named(book: list[Event], log: Path) -> None:
    first, second, _ = Seal.objects.order_by("id")
    execute("UPDATE events_event SET code = 'x' WHERE id = %s", book[0].id)
    first.rows_digest = "a" * 64
    forged = seal_digest(first)
    execute("UPDATE events_seal SET rows_digest = %s, digest = %s WHERE id = %s", "a" * 64, forged, first.id)
    found = places(log)
    assert f"seal {first.id}" in found
    assert f"seal {second.id}" in found


def test_a_removed_seal_is_found_from_both_sides(book: list[Event], log: Path) -> None:
    second, third = Seal.objects.order_by("id")[1:]
    execute("DELETE FROM events_seal WHERE id = %s", second.id)
    found = places(log)
    assert "does not continue" in found[f"seal {third.id}"]
    assert f"seal {second.id} is gone" in found["line 3 of the seal log"]


def test_seals_that_changed_places_are_found(book: list[Event], log: Path) -> None:
    first, second, _ = Seal.objects.order_by("id")
    execute("UPDATE events_seal SET id = 900 WHERE id = %s", first.id)
    execute("UPDATE events_seal SET id = %s WHERE id = %s", first.id, second.id)
    execute("UPDATE events_seal SET id = %s WHERE id = 900", second.id)
    assert {f"seal {first.id}", f"seal {second.id}"} <= set(places(log))


def test_a_cut_of_the_tail_is_found_in_the_log(book: list[Event], log: Path) -> None:
    last = Seal.objects.latest("id")
    execute("DELETE FROM events_seal WHERE id = %s", last.id)
    execute("DELETE FROM events_event WHERE id >= %s", book[8].id)
    assert places(log) == {"line 4 of the seal log": f"seal {last.id} is gone from the book, and its 4 events with it"}


def test_a_cut_tail_that_was_written_anew_is_found(book: list[Event], log: Path, write: Write) -> None:
    last = Seal.objects.latest("id")
    execute("DELETE FROM events_seal WHERE id = %s", last.id)
    execute("DELETE FROM events_event WHERE id >= %s", book[8].id)
    write(3)
    forged = seal_events(timezone.now())
    assert forged
    if forged.id != last.id:
        execute("UPDATE events_seal SET id = %s WHERE id = %s", last.id, forged.id)
    assert "line 4 of the seal log says" in places(log)[f"seal {last.id}"]


# --- The log --------------------------------------------------------------------------------------------------------
def test_a_missing_log_is_a_problem(book: list[Event], log: Path) -> None:
    log.unlink()
    assert "a cut of the tail would not show" in places(log)["the seal log"]


def test_seals_from_before_a_new_log_have_no_witness(book: list[Event], log: Path, write: Write) -> None:
    log.unlink()
    write()
    seal_events(timezone.now())
    found = places(log)
    assert len(found) == 3
    assert all("was begun after it" in text for text in found.values())


def test_a_line_that_was_removed_is_found(book: list[Event], log: Path) -> None:
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:2] + lines[3:]))
    assert "not in the seal log" in places(log)[f"seal {Seal.objects.order_by('id')[1].id}"]


def test_a_line_that_was_changed_is_found(book: list[Event], log: Path) -> None:
    lines = log.read_text().splitlines()
    lines[2] = json.dumps(json.loads(lines[2]) | {"digest": "0" * 64})
    log.write_text("\n".join(lines) + "\n")
    assert "line 3 of the seal log says" in places(log)[f"seal {Seal.objects.order_by('id')[1].id}"]


def test_lines_that_were_moved_are_found(book: list[Event], log: Path) -> None:
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join([lines[0], lines[2], lines[1], lines[3]]))
    assert "lines were moved" in places(log)["line 3 of the seal log"]


@pytest.mark.parametrize(
    "junk", [b"\x00\xff\n", b"[]\n", b"null\n", b'{"seal":"7"}\n', b'{"seal":true}\n', b"[" * 9000]
)
def test_a_line_that_cannot_be_read_is_named(book: list[Event], log: Path, junk: bytes) -> None:
    with log.open("ab") as file:
        file.write(junk)
    assert places(log) == {"line 5 of the seal log": "cannot be read"}


# --- Keys and pruning -----------------------------------------------------------------------------------------------
def test_seals_hold_after_their_key_is_gone(book: list[Event], log: Path, write: Write) -> None:
    use, algorithm = SigningKey.Use.TOKEN, SigningKey.Algorithm.ES256
    for days in (1, 3, 5):
        with time_machine.travel(timezone.now() + timedelta(days=days)):
            announce_key(use, algorithm=algorithm, now=timezone.now() - limits.KEY_ANNOUNCE, actor=SYSTEM)
            rotate(now=timezone.now(), actor=SYSTEM)
            seal_events(timezone.now())
            assert verify(log).problems == []


def test_a_pruned_book_still_holds(book: list[Event], log: Path, write: Write) -> None:
    with time_machine.travel(timezone.now() + limits.EVENT_RETENTION + timedelta(days=1)):
        write(2)
        seal_events(timezone.now())
        pruned = prune_events(timezone.now())
        seal_events(timezone.now())
        outcome = verify(log)
    assert outcome.problems == []
    assert outcome.events == Event.objects.count() == 3
    assert outcome.statements[1].startswith(f"{pruned} events under 3 seals were pruned")


def test_a_deletion_that_poses_as_pruning_is_found(book: list[Event], log: Path) -> None:
    first = Seal.objects.order_by("id")[0]
    execute("DELETE FROM events_event WHERE id <= %s", first.until_id)
    execute("UPDATE events_seal SET pruned_at = %s WHERE id = %s", timezone.now(), first.id)
    assert "accounts for it" in places(log)[f"seal {first.id}"]


def test_a_pruning_before_its_time_is_found(book: list[Event], log: Path, settings: Settings) -> None:
    with time_machine.travel(timezone.now() + timedelta(days=30)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(limits, "EVENT_RETENTION", timedelta(days=10))
            assert prune_events(timezone.now()) > 0
        assert "before the end of their retention" in places(log)[f"seal {Seal.objects.order_by('id')[0].id}"]


def test_an_event_that_reappears_in_a_pruned_segment_is_found(book: list[Event], log: Path, write: Write) -> None:
    with time_machine.travel(timezone.now() + limits.EVENT_RETENTION + timedelta(days=1)):
        prune_events(timezone.now())
        write(event_id=book[2].id)
        assert "inserted" in places(log)[f"event {book[2].id}"]


def test_the_first_thousand_problems_are_kept_and_all_are_counted(
    log: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.events.report.PROBLEMS_MAX", 3)
    write(6)
    seal_events(timezone.now())
    execute("UPDATE events_event SET code = 'x'")
    outcome = verify(log)
    assert len(outcome.problems) == 3
    assert outcome.problem_count == Event.objects.count()
