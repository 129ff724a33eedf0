"""The sweep tells what is late, rings what is due, and prunes nothing that somebody has yet to decide."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.bell import bell
from broker.delivery.carrying import carry
from broker.delivery.models import Attempt, Delivery
from broker.delivery.outcomes import retry
from broker.delivery.pruning import prune
from broker.delivery.sweeping import sweep
from broker.delivery.tasks import carry as carry_task
from broker.delivery.tasks import prune as prune_task
from broker.delivery.tasks import sweep as sweep_task
from tests.broker.delivery.handlers import answering
from tests.broker.delivery.handlers import script as let_it
from tests.broker.delivery.ledger import LANE, events, put, put_one, states

pytestmark = pytest.mark.django_db


def test_what_must_arrive_and_has_not_is_told_once() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        row = put_one(must_arrive=True)
        put_one("person:2")
        let_it(answering(retry("target.conflict", status=409)))
        carry(LANE)
        clock.shift(limits.DELIVERY_LATE - timedelta(seconds=1))
        sweep()
        assert events("delivery.late") == []
        clock.shift(timedelta(seconds=1))
        sweep()
        sweep()
    [told] = events("delivery.late")
    assert (told.severity, told.subject_id, told.details["ids"]) == ("alert", LANE, [row.pk])


def test_what_arrived_in_its_time_is_not_late() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        put(must_arrive=True)
        carry(LANE)
        clock.shift(2 * limits.DELIVERY_LATE)
        sweep()
    assert events("delivery.late") == []


def test_what_is_held_is_late_all_the_same() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        put(must_arrive=True, hold="breaker:1")
        clock.shift(limits.DELIVERY_LATE)
        sweep()
    assert len(events("delivery.late")) == 1


def test_a_lost_bell_is_rung_again_by_the_sweep(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object
) -> None:
    rung: list[object] = []
    monkeypatch.setattr(bell, "ring", rung.append)
    put()
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        assert sweep() == 1
    assert rung == [("broker.delivery.tasks.carry", (LANE,))]


def test_an_unimportant_lane_without_work_is_not_rung() -> None:
    put()
    carry(LANE)
    assert sweep() == 0


def test_settled_rows_go_after_their_time_with_their_attempts_and_the_book_says_so() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        put("person:1", "person:2")
        carry(LANE)
        put("person:2")
        clock.shift(limits.DELIVERY_RETENTION)
        assert prune(timezone.now()) == 0
        clock.shift(timedelta(seconds=1))
        assert prune(timezone.now()) == 2
    assert (states(), Attempt.objects.count()) == (["pending"], 0)
    [told] = events("delivery.pruned")
    assert told.details["deliveries"] == 2


def test_dead_letters_are_kept_until_somebody_decides() -> None:
    row = put_one()
    Delivery.objects.filter(pk=row.pk).update(state="dead", settled_at=timezone.now())
    assert prune(timezone.now() + 10 * limits.DELIVERY_RETENTION) == 0


def test_celery_wakes_all_of_it() -> None:
    put()
    assert (sweep_task(), carry_task(LANE), prune_task()) == (1, 1, 0)
