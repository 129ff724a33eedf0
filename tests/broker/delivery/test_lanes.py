"""A lane breaks when nobody answers, waits when it is asked to, and stops when we are refused (fault F9)."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.delivery.carrying import carry
from broker.delivery.handlers import Settle
from broker.delivery.models import Delivery
from broker.delivery.outcomes import Outcome, Pause, Stop, confirmed, retry
from broker.delivery.services import resume_lane
from broker.delivery.sweeping import due_lanes, sweep
from tests.broker.delivery.handlers import DIGEST, Scripted, answering
from tests.broker.delivery.handlers import script as let_it
from tests.broker.delivery.ledger import ADA, LANE, attempts, events, lane, put, states

pytestmark = pytest.mark.django_db

SILENCE = [retry("outgoing.refused"), retry("target.down", status=503), retry("target.down", status=500)]
ANSWERS = [retry("target.conflict", status=409), retry("target.lied", status=200), retry("target.lied")]
PEOPLE = [f"person:{number:03}" for number in range(20)]


def one_by_one(outcome: Outcome) -> None:
    """A receiver whose handler looks after each row whether it goes on."""

    def act(_lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        for row in batch:
            if settle.is_over:
                return
            settle([(row, outcome)])

    let_it(act)


@pytest.mark.parametrize("outcome", SILENCE)
def test_so_many_attempts_without_an_answer_break_the_lane(outcome: Outcome) -> None:
    put(*PEOPLE)
    one_by_one(outcome)
    carry(LANE)
    assert (lane().state, lane().failures, lane().pauses) == ("broken", limits.LANE_FAILURES, 1)
    assert sorted(states()) == ["pending"] * 15 + ["retrying"] * 5
    assert Delivery.objects.filter(attempts=0).count() == 15, "what was not attempted does not count as an attempt"
    assert len(events("lane.broken")) == 1


@pytest.mark.parametrize("outcome", ANSWERS)
def test_an_answer_that_does_not_help_does_not_break_the_lane(outcome: Outcome) -> None:
    put(*PEOPLE)
    one_by_one(outcome)
    carry(LANE)
    assert lane().state == "open"


def test_an_answer_in_between_begins_the_count_anew() -> None:
    put(*PEOPLE[:9])

    def act(_lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        for number, row in enumerate(batch):
            settle([(row, retry("outgoing.refused") if number != 4 else confirmed(DIGEST))])

    let_it(act)
    carry(LANE)
    assert (lane().state, lane().failures) == ("open", 4)


def test_a_broken_lane_is_tried_with_one_row_at_a_time_and_later_each_time(handler: Scripted) -> None:
    put(*PEOPLE)
    one_by_one(retry("outgoing.refused"))
    with time_machine.travel(timezone.now(), tick=False) as clock:
        carry(LANE)
        pauses = []
        for _ in range(8):
            assert (carry(LANE), due_lanes(timezone.now())) == (0, [])
            waits_until = lane().not_before
            assert waits_until
            pauses.append(waits_until - timezone.now())
            clock.move_to(waits_until)
            assert due_lanes(timezone.now()) == [LANE]
            assert carry(LANE) == 1
    assert pauses[0] <= limits.LANE_PAUSE
    assert limits.LANE_PAUSE_MAX / 2 <= pauses[-1] <= limits.LANE_PAUSE_MAX
    assert len(events("lane.broken")) == 1, "told once, not at every trial"


def test_a_trial_that_is_answered_lets_all_go_again(handler: Scripted) -> None:
    put(*PEOPLE)
    one_by_one(retry("outgoing.refused"))
    with time_machine.travel(timezone.now(), tick=False) as clock:
        carry(LANE)
        clock.shift(limits.LANE_PAUSE_MAX)
        let_it(answering(confirmed(DIGEST)))
        handler.seen.clear()
        assert carry(LANE) == 20
    assert [len(batch) for batch in handler.seen] == [1, 19]
    assert (lane().state, lane().failures, lane().pauses) == ("open", 0, 0)
    assert len(events("lane.recovered")) == 1


def test_retry_after_lets_the_whole_lane_wait_and_costs_no_row_a_failure() -> None:
    put(*PEOPLE)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        until = timezone.now() + timedelta(seconds=90)
        one_by_one(retry("target.busy", status=429, lane=Pause(until, "429")))
        assert carry(LANE) == 20
        assert (lane().state, lane().not_before) == ("open", until)
        assert set(Delivery.objects.values_list("failures", flat=True)) == {0}
        clock.shift(timedelta(seconds=89))
        assert (carry(LANE), sweep()) == (0, 0)
        clock.shift(timedelta(seconds=10))
        let_it(answering(confirmed(DIGEST)))
        assert carry(LANE) == 20


def test_a_lane_waits_an_hour_at_most_for_a_receiver_that_asks_for_a_year() -> None:
    put()
    one_by_one(retry("target.busy", status=429, lane=Pause(timezone.now() + timedelta(days=365), "429")))
    carry(LANE)
    waits_until = lane().not_before
    assert waits_until
    assert waits_until <= timezone.now() + limits.DELIVERY_WAIT_MAX


def test_a_pause_in_the_past_is_none() -> None:
    put()
    one_by_one(retry("target.busy", status=503, lane=Pause(timezone.now() - timedelta(days=1), "503")))
    carry(LANE)
    waits_until = lane().not_before
    assert waits_until
    assert waits_until <= timezone.now()


def test_a_receiver_that_refuses_us_is_asked_nothing_more_until_an_operator_resumes() -> None:
    put(*PEOPLE)
    one_by_one(retry("target.refused", status=401, lane=Stop("the target answered 401")))
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert carry(LANE) == 20
        assert [event.severity for event in events("lane.stopped")] == ["alert"]
        assert sorted(states()) == ["pending"] * 19 + ["retrying"]
        clock.shift(timedelta(days=3))
        assert (carry(LANE), sweep(), lane().state) == (0, 0, "stopped")

        let_it(answering(confirmed(DIGEST)))
        resume_lane(LANE, actor=ADA)
        assert carry(LANE) == 20
    assert (lane().state, lane().reason, len(events("lane.resumed"))) == ("open", "", 1)


def test_a_refusal_counts_more_than_a_pause_in_the_same_batch() -> None:
    first, second = put("person:1", "person:2")
    pause = retry("target.busy", status=429, lane=Pause(timezone.now() + timedelta(seconds=9), "429"))
    stop = retry("target.refused", status=401, lane=Stop("401"))
    let_it(lambda _lane, batch, settle: settle([(batch[0], stop), (batch[1], pause)]))
    carry(LANE)
    assert lane().state == "stopped"
    assert (attempts(first), attempts(second)) == (["retrying"], ["retrying"])


def test_what_the_lane_tells_is_rolled_back_with_the_settlement() -> None:
    def broken() -> None:
        raise RuntimeError("no")

    put(*PEOPLE[:6])

    def act(_lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        with pytest.raises(RuntimeError):
            settle([(row, retry("outgoing.refused")) for row in batch], within=broken)
        assert not settle.is_over
        settle([(row, confirmed(DIGEST)) for row in batch])

    let_it(act)
    carry(LANE)
    assert (lane().state, lane().failures, events("lane.broken")) == ("open", 0, [])
