"""What the doctor says of the book."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from broker import limits
from broker.events.doctor import check_book
from broker.events.models import Event, Seal
from broker.events.sealing import seal_events
from broker.findings import Finding
from tests.flush import guard, without_triggers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signer")]


def findings() -> dict[str, Finding]:
    return {finding.name: finding for finding in check_book()}


def levels() -> dict[str, str]:
    return {name.removeprefix("book: "): finding.level for name, finding in findings().items()}


def test_a_sound_book_is_well(log: Path) -> None:
    seal_events(timezone.now())
    assert levels() == {"insert-only": "ok", "seals": "ok", "signature": "ok", "seal log": "ok"}


def test_an_empty_book_is_not_called_well(log: Path) -> None:
    with without_triggers():
        Event.objects.all().delete()
    assert levels()["seals"] == "warning"


@pytest.mark.parametrize("name", ["events_event_no_update", "events_event_no_delete", "events_seal_no_delete"])
def test_a_missing_trigger_is_a_fault(log: Path, name: str) -> None:
    table = name.rpartition("_no_")[0]
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if connection.vendor == "postgresql" else ""))
    finding = findings()["book: insert-only"]
    assert finding.level == "fault"
    assert name in finding.text
    assert name in guard.TRIGGERS[connection.vendor]


def test_events_that_nobody_seals_are_a_fault(log: Path, write: Callable[..., list[Event]]) -> None:
    seal_events(timezone.now())
    write(2)
    assert levels()["seals"] == "ok"
    with time_machine.travel(timezone.now() + limits.EVENT_UNSEALED_MAX + timedelta(seconds=1)):
        assert levels()["seals"] == "fault"


def test_a_signature_that_does_not_hold_is_a_fault(log: Path) -> None:
    seal_events(timezone.now())
    with without_triggers():
        Seal.objects.update(digest="0" * 64)
    assert levels()["signature"] == "fault"


def test_a_missing_log_is_a_fault(log: Path) -> None:
    seal_events(timezone.now())
    log.unlink()
    assert levels()["seal log"] == "fault"


def test_a_log_with_more_seals_than_the_book_is_a_fault(log: Path, write: Callable[..., list[Event]]) -> None:
    seal_events(timezone.now())
    write()
    last = seal_events(timezone.now())
    assert last
    with without_triggers():
        Seal.objects.filter(id=last.id).delete()
    finding = findings()["book: seal log"]
    assert finding.level == "fault"
    assert "the book was cut" in finding.text


def test_a_log_that_stays_behind_is_a_fault(log: Path, write: Callable[..., list[Event]]) -> None:
    seal_events(timezone.now())
    before = log.read_bytes()
    write()
    seal_events(timezone.now())
    log.write_bytes(before)
    assert levels()["seal log"] == "ok"
    with time_machine.travel(timezone.now() + limits.EVENT_UNSEALED_MAX + timedelta(seconds=1)):
        assert levels()["seal log"] == "fault"


def test_a_log_that_others_may_read_is_a_warning(log: Path) -> None:
    seal_events(timezone.now())
    log.chmod(0o644)
    assert levels()["seal log"] == "warning"
