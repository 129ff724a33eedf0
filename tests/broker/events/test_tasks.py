"""The scheduler's tasks carry the names that the settings give them."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.utils import timezone

from broker import limits
from broker.events import tasks
from broker.events.models import Event, Seal

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signer")]


def test_the_schedule_names_tasks_that_exist() -> None:
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert {tasks.seal_events.name, tasks.prune_events.name} <= scheduled


def test_a_backlog_is_sealed_in_one_run(
    log: Path, write: Callable[..., list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EVENTS_PER_SEAL", 3)
    write(10)
    made = tasks.seal_events()
    assert made == Seal.objects.count()
    assert sum(seal.count for seal in Seal.objects.all()) == Event.objects.count()
    assert tasks.seal_events() == 0


def test_a_run_ends_before_a_backlog_without_end(
    log: Path, write: Callable[..., list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EVENTS_PER_SEAL", 1)
    monkeypatch.setattr(tasks, "SEALS_PER_RUN", 2)
    write(5)
    assert tasks.seal_events() == 2


def test_old_events_are_pruned(log: Path, write: Callable[..., list[Event]]) -> None:
    write(2)
    tasks.seal_events()
    total = Event.objects.count()
    with time_machine.travel(timezone.now() + limits.EVENT_RETENTION + timedelta(days=1)):
        assert tasks.prune_events() == total
