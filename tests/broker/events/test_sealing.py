"""Sealing: what is taken, what the chain says, and what the log outside holds."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.db import close_old_connections, connection, transaction
from django.test import override_settings
from django.utils import timezone
from pytest_django import Settings

from broker import limits
from broker.errors import BrokerError
from broker.events.models import Event, Seal
from broker.events.seal_log import NotASealLog
from broker.events.sealing import GENESIS, row_digest, seal_digest, seal_events
from broker.keys.services import sign_event_head, verify_event_head

Write = Callable[..., list[Event]]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signer")]


def log_lines(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def seal_now() -> Seal:
    seal = seal_events(timezone.now())
    assert seal is not None
    return seal


def test_a_seal_takes_every_event_that_is_not_sealed_yet(log: Path, write: Write) -> None:
    write(3)
    first = seal_now()
    assert first.count == Event.objects.count() == sum(last - start + 1 for start, last in first.ids)
    write(2)
    second = seal_now()
    assert second.count == 2
    assert second.previous_digest == first.digest
    assert first.previous_digest == GENESIS


def test_nothing_is_sealed_twice(log: Path, write: Write) -> None:
    write()
    seal_now()
    assert seal_events(timezone.now()) is None
    assert Seal.objects.count() == 1


def test_the_head_is_signed(log: Path, write: Write) -> None:
    write()
    seal = seal_now()
    verify_event_head(seal.digest, seal.signature)
    with pytest.raises(BrokerError):
        verify_event_head(seal.digest[::-1], seal.signature)


def test_a_late_event_is_sealed_by_the_next_seal(log: Path, write: Write) -> None:
    gap = write()[0].id + 1
    write(event_id=gap + 1)
    first = seal_now()
    write(event_id=gap)
    second = seal_now()
    assert gap not in range(*first.ids[-1])
    assert second.ids == [[gap, gap]]
    assert second.until_id == first.until_id


def test_an_event_put_into_an_old_gap_is_never_sealed(log: Path, write: Write) -> None:
    gap = write()[0].id + 1
    write(event_id=gap + 1)
    seal_now()
    with time_machine.travel(timezone.now() + limits.EVENT_LATENESS + timedelta(minutes=1)):
        write()
        seal_now()
        write(event_id=gap)
        assert seal_events(timezone.now()) is None


def test_a_gap_stays_open_while_no_sealer_runs(log: Path, write: Write) -> None:
    gap = write()[0].id + 1
    write(event_id=gap + 1)
    seal_now()
    write(event_id=gap)
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        assert seal_now().ids == [[gap, gap]]


def test_a_seal_takes_a_bounded_number_of_events(log: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    seal_now()
    monkeypatch.setattr(limits, "EVENTS_PER_SEAL", 2)
    write(5)
    counts = []
    while seal := seal_events(timezone.now()):
        counts.append(seal.count)
    assert counts == [2, 2, 1]


@pytest.mark.parametrize("field", ["at", "ids", "count", "until_id", "rows_digest", "previous_digest"])
def test_every_column_of_a_seal_is_in_its_digest(log: Path, write: Write, field: str) -> None:
    write()
    seal = seal_now()
    assert seal_digest(seal) == seal.digest
    value = getattr(seal, field)
    other = {"at": timezone.now() + timedelta(1), "ids": [[1, 99]]}.get(
        field, value + 1 if isinstance(value, int) else "f" * 64
    )
    setattr(seal, field, other)
    assert seal_digest(seal) != seal.digest


def test_every_column_of_an_event_is_in_its_digest(write: Write) -> None:
    [event] = write()
    digest = row_digest(event)
    for column in Event._meta.concrete_fields:
        changed = Event.objects.get(id=event.id)
        value = {"at": timezone.now() + timedelta(1), "details": {"number": 1}, "id": 0}.get(column.name, "other")
        setattr(changed, column.name, value)
        assert row_digest(changed) != digest, column.name


def test_what_is_odd_in_details_can_be_sealed(log: Path, write: Write) -> None:
    [event] = write()
    event.details = {"text": "\ud800 \u202e \n ü", "deep": [[[{}]]], "number": 2**70, "float": 1e300}
    assert len(row_digest(event)) == 32


def test_a_digest_is_the_same_when_it_is_read_again(write: Write) -> None:
    [event] = write()
    assert row_digest(event) == row_digest(Event.objects.get(id=event.id))


def test_sealing_refuses_to_run_within_a_transaction(log: Path, write: Write) -> None:
    write()
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        seal_events(timezone.now())


# --- The log --------------------------------------------------------------------------------------------------------
def test_each_seal_has_a_line_in_the_log(log: Path, write: Write) -> None:
    first = seal_now()
    write()
    second = seal_now()
    head, *lines = log_lines(log)
    assert head["after"] == 0
    assert [(line["seal"], line["digest"], line["signature"]) for line in lines] == [
        (seal.id, seal.digest, seal.signature) for seal in (first, second)
    ]


def test_the_log_is_for_its_owner_only(log: Path) -> None:
    seal_now()
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_line_that_was_not_written_follows(log: Path, write: Write) -> None:
    seal_now()
    before = log.read_bytes()
    write()
    seal_now()
    log.write_bytes(before)
    assert seal_events(timezone.now()) is None
    assert log_lines(log)[-1]["seal"] == Seal.objects.latest("id").id


def test_a_torn_line_is_followed_by_a_whole_one(log: Path, write: Write) -> None:
    seal_now()
    with log.open("ab") as file:
        file.write(b'{"seal":2,"dig')
    write()
    second = seal_now()
    assert json.loads(log.read_text().splitlines()[-1])["seal"] == second.id


def test_a_new_log_does_not_vouch_for_seals_that_it_never_saw(log: Path, write: Write) -> None:
    first = seal_now()
    log.unlink()
    write()
    second = seal_now()
    assert [line.get("seal", line.get("after")) for line in log_lines(log)] == [first.id, second.id]


def test_a_file_with_something_else_is_not_appended_to(log: Path) -> None:
    log.write_text("root:x:0:0\n")
    with pytest.raises(NotASealLog):
        seal_events(timezone.now())
    assert log.read_text() == "root:x:0:0\n"
    assert not Seal.objects.exists()


def test_a_link_is_not_followed(log: Path, tmp_path: Path) -> None:
    log.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        seal_events(timezone.now())
    assert not (tmp_path / "elsewhere").exists()


def test_nothing_is_sealed_when_the_log_cannot_be_written(log: Path, settings: Settings) -> None:
    settings.SEAL_LOG = log / "no-such-folder" / "seals.log"
    with pytest.raises(OSError):
        seal_events(timezone.now())
    assert not Seal.objects.exists()


# --- Concurrency ----------------------------------------------------------------------------------------------------
def sign_after_another_sealer(digest: str) -> str:
    """A signer that is so slow that another sealer commits meanwhile."""
    with override_settings(EVENT_HEAD_SIGNER="broker.keys.services.sign_event_head"):
        assert seal_events(timezone.now()) is not None
        return sign_event_head(digest)


def test_of_two_sealers_the_slower_one_gives_way(log: Path, settings: Settings) -> None:
    settings.EVENT_HEAD_SIGNER = f"{__name__}.sign_after_another_sealer"
    assert seal_events(timezone.now()) is None
    assert [line["seal"] for line in log_lines(log)[1:]] == [Seal.objects.get().id]


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_of_parallel_sealers_one_makes_the_seal(log: Path, write: Write) -> None:
    write(20)
    total = Event.objects.count()
    barrier = threading.Barrier(6)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            barrier.wait(timeout=20)
            seal_events(timezone.now())
        except BaseException as error:  # noqa: BLE001 - a thread's failure is the test's
            failures.append(error)
        finally:
            close_old_connections()
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    assert [seal.count for seal in Seal.objects.all()] == [total]
    assert [line["seal"] for line in log_lines(log)[1:]] == [Seal.objects.get().id]
