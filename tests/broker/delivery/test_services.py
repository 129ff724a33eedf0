"""What operators decide about dead letters, holds and lanes is written in the book, and refused without a reason."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from broker.delivery.carrying import carry
from broker.delivery.claiming import claim
from broker.delivery.digests import row_digest
from broker.delivery.lanes import take_turn
from broker.delivery.models import Delivery, Lane
from broker.delivery.outcomes import confirmed, failed
from broker.delivery.progress import progress
from broker.delivery.services import drop_hold, pause_lane, release_hold, resume_lane, retry, write_off
from broker.delivery.sweeping import sweep
from broker.errors import BrokerError
from tests.broker.delivery.handlers import DIGEST, Scripted, answering
from tests.broker.delivery.handlers import script as let_it
from tests.broker.delivery.ledger import ADA, LANE, attempts, events, lane, put, put_one, states

pytestmark = pytest.mark.django_db
DECISIONS: list[Callable[[Delivery], Delivery]] = [
    lambda row: retry(row, actor=ADA),
    lambda row: write_off(row, reason="gone", actor=ADA),
]


def make_dead(**fields: object) -> Delivery:
    row = put_one(**fields)
    let_it(answering(failed("scim.invalid", status=400)))
    carry(LANE)
    let_it(answering(confirmed(DIGEST)))
    row.refresh_from_db()
    assert row.state == "dead"
    return row


@pytest.mark.parametrize("decide", DECISIONS)
def test_what_is_confirmed_cannot_be_changed(decide: Callable[[Delivery], Delivery]) -> None:
    row = put_one()
    carry(LANE)
    with pytest.raises(BrokerError) as refused:
        decide(row)
    assert refused.value.code == "delivery.settled"
    assert states() == ["confirmed"]


@pytest.mark.parametrize("decide", DECISIONS)
def test_what_is_being_attempted_cannot_be_changed(decide: Callable[[Delivery], Delivery]) -> None:
    row = put_one()
    turn = take_turn(LANE)
    assert turn
    claim(turn)
    with pytest.raises(BrokerError) as refused:
        decide(row)
    assert refused.value.code == "delivery.under_way"


@pytest.mark.parametrize("reason", ["", "   "])
def test_nothing_is_written_off_or_paused_without_a_reason(reason: str) -> None:
    row = make_dead()
    for refuse in (
        lambda: write_off(row, reason=reason, actor=ADA),
        lambda: pause_lane(LANE, reason=reason, actor=ADA),
    ):
        with pytest.raises(BrokerError) as refused:
            refuse()
        assert refused.value.code == "delivery.no_reason"
    assert (states(), lane().state, events("delivery.written_off")) == (["dead"], "open", [])


def test_a_dead_letter_that_is_retried_goes_once_more_and_keeps_its_attempts() -> None:
    row = make_dead()
    retry(row, actor=ADA)
    assert carry(LANE) == 1
    row.refresh_from_db()
    assert (row.state, row.attempts, row.failures, attempts(row)) == ("confirmed", 2, 0, ["failed", "confirmed"])
    [told] = events("delivery.retried")
    assert (told.actor_id, told.subject_id, told.details["was_dead"]) == ("ada@acme.example", str(row.pk), True)
    assert events("delivery.settled")[-1].details["rows"] == {str(row.pk): row_digest(row)}


def test_what_waits_for_its_time_can_be_retried_at_once() -> None:
    row = put_one()
    Delivery.objects.update(state="retrying", due_at=timezone.now() + timedelta(hours=1), failures=7)
    assert carry(LANE) == 0
    retry(row, actor=ADA)
    assert carry(LANE) == 1


def test_a_retry_gives_what_must_arrive_its_time_anew() -> None:
    row = make_dead()
    Delivery.objects.filter(pk=row.pk).update(must_arrive=True)
    assert retry(row, actor=ADA).late_at is not None


def test_what_is_written_off_says_why_and_the_book_has_its_digest() -> None:
    row = write_off(make_dead(reference="plan:1"), reason=" The receiver is gone. ", actor=ADA)
    row.refresh_from_db()
    assert (row.state, row.reason, row.detail) == ("skipped", "delivery.written_off", "The receiver is gone.")
    [told] = events("delivery.written_off")
    assert told.details["rows"] == {str(row.pk): row_digest(row)}
    assert progress(reference="plan:1").is_green
    with pytest.raises(BrokerError):
        retry(row, actor=ADA)


def test_what_is_held_goes_nowhere_until_it_is_released(handler: Scripted) -> None:
    put("person:1", "person:2", hold="breaker:1")
    put("person:3", hold="breaker:2")
    assert (carry(LANE), sweep()) == (0, 0)
    assert release_hold("breaker:1", actor=ADA) == 2
    assert carry(LANE) == 2
    assert states() == ["confirmed", "confirmed", "pending"]
    assert [event.details["deliveries"] for event in events("delivery.hold_released")] == [2]


@pytest.mark.parametrize("name", ["", "breaker:9"])
def test_a_hold_that_holds_nothing_is_neither_released_nor_dropped(name: str) -> None:
    put()
    assert (release_hold(name, actor=ADA), drop_hold(name, reason="x", actor=ADA)) == (0, 0)
    assert (states(), events("delivery.hold_released"), events("delivery.hold_dropped")) == (["pending"], [], [])


def test_what_is_dropped_is_skipped_with_the_reason() -> None:
    rows = put("person:1", "person:2", hold="breaker:1", must_arrive=True)
    assert drop_hold("breaker:1", reason="A wrong file.", actor=ADA) == 2
    assert set(Delivery.objects.values_list("state", "reason", "detail", "late_at")) == {
        ("skipped", "delivery.not_released", "A wrong file.", None)
    }
    [settled] = events("delivery.settled")
    assert set(settled.details["rows"]) == {str(row.pk) for row in rows}
    for row in rows:
        row.refresh_from_db()
        assert settled.details["rows"][str(row.pk)] == row_digest(row)
    assert carry(LANE) == 0


def test_a_paused_lane_sends_nothing_until_it_is_resumed() -> None:
    put()
    pause_lane(LANE, reason="maintenance", actor=ADA)
    assert (carry(LANE), sweep()) == (0, 0)
    assert (lane().changed_by, lane().reason) == ("operator:ada@acme.example", "maintenance")
    resume_lane(LANE, actor=ADA)
    assert carry(LANE) == 1
    assert (len(events("lane.paused")), len(events("lane.resumed"))) == (1, 1)


def test_a_lane_can_be_paused_before_it_carries_anything() -> None:
    pause_lane("target:new", reason="not yet", actor=ADA)
    put(lane="target:new")
    assert (carry("target:new"), Lane.objects.count()) == (0, 1)
