"""Pruning: by whole segments, in the transaction that records it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone

from broker import limits
from broker.events import pruning
from broker.events.models import Event, PrunePermit, Seal
from broker.events.pruning import prune_events
from broker.events.sealing import seal_events

Write = Callable[..., list[Event]]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signer")]
LATER = limits.EVENT_RETENTION + timedelta(days=1)


@pytest.fixture
def segments(log: Path, write: Write) -> list[Seal]:
    """Two seals from long ago, one from yesterday."""
    seals = []
    for age in (LATER, LATER - timedelta(hours=1), timedelta(days=1)):
        with time_machine.travel(timezone.now() - age):
            write(3)
            seals.append(seal_events(timezone.now()))
    return seals


def pruned_events() -> list[Event]:
    return list(Event.objects.filter(type="events.pruned"))


def test_only_segments_past_their_retention_are_pruned(segments: list[Seal]) -> None:
    old = segments[0].count + segments[1].count
    assert prune_events(timezone.now()) == old
    assert [seal.pruned_at is not None for seal in Seal.objects.order_by("id")] == [True, True, False]
    assert Event.objects.exclude(type="events.pruned").count() == segments[2].count


def test_nothing_is_pruned_before_its_time(segments: list[Seal]) -> None:
    assert prune_events(timezone.now() - timedelta(days=2)) == 0
    assert pruned_events() == []


def test_an_old_event_that_is_not_sealed_stays(log: Path, write: Write) -> None:
    with time_machine.travel(timezone.now() - LATER):
        write()
    before = Event.objects.count()
    assert prune_events(timezone.now()) == 0
    assert Event.objects.count() == before


def test_pruning_is_recorded_with_its_range_and_digest(segments: list[Seal]) -> None:
    count = prune_events(timezone.now())
    [event] = pruned_events()
    assert event.details == {
        "first_seal": segments[0].id,
        "last_seal": segments[1].id,
        "digest": segments[1].digest,
        "events": count,
    }


def test_a_second_run_prunes_nothing(segments: list[Seal]) -> None:
    prune_events(timezone.now())
    assert prune_events(timezone.now()) == 0
    assert len(pruned_events()) == 1


def test_the_permit_is_gone_afterwards(segments: list[Seal]) -> None:
    prune_events(timezone.now())
    assert PrunePermit.objects.get().until_id == 0
    with pytest.raises(IntegrityError), transaction.atomic():
        Event.objects.all().delete()


def test_seals_stay_without_their_marks(segments: list[Seal]) -> None:
    prune_events(timezone.now())
    seal = Seal.objects.get(id=segments[0].id)
    assert (seal.digest, seal.ids, seal.row_marks) == (segments[0].digest, segments[0].ids, "")


def test_a_transaction_takes_a_bounded_number_of_events(segments: list[Seal], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "EVENTS_PER_TRANSACTION", 4)
    prune_events(timezone.now())
    assert [event.details["last_seal"] for event in reversed(pruned_events())] == [segments[0].id, segments[1].id]


def test_a_failure_leaves_the_segment_as_it_was(segments: list[Seal], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_fields: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(pruning, "record", fail)
    before = Event.objects.count()
    with pytest.raises(RuntimeError):
        prune_events(timezone.now())
    assert Event.objects.count() == before
    assert not Seal.objects.exclude(pruned_at=None).exists()
    assert not PrunePermit.objects.filter(until_id__gt=0).exists()


def test_late_events_under_a_younger_seal_stay(log: Path, write: Write) -> None:
    with time_machine.travel(timezone.now() - LATER):
        gap = write()[0].id + 1
        write(event_id=gap + 1)
        seal_events(timezone.now())
        write(event_id=gap)
    with time_machine.travel(timezone.now() - timedelta(days=1)):
        seal_events(timezone.now())
    prune_events(timezone.now())
    assert Event.objects.exclude(type="events.pruned").get().id == gap
