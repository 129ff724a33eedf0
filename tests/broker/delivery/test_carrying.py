"""What becomes of rows that are carried."""

from collections.abc import Sequence
from datetime import timedelta
from threading import Thread

import pytest
import time_machine
from django.db import OperationalError, connection
from django.utils import timezone

from broker import limits
from broker.delivery.carrying import carry
from broker.delivery.digests import row_digest
from broker.delivery.handlers import Settle
from broker.delivery.models import Attempt, Delivery, Priority
from broker.delivery.outcomes import confirmed, failed, retry, skipped
from broker.delivery.progress import progress
from broker.delivery.services import pause_lane
from tests.broker.delivery.handlers import DIGEST, Scripted, answering
from tests.broker.delivery.handlers import script as let_it
from tests.broker.delivery.ledger import ADA, LANE, attempts, events, lane, put, put_one, states

pytestmark = pytest.mark.django_db


def test_what_is_confirmed_is_settled_with_its_attempt_and_its_digest_in_the_book(handler: Scripted) -> None:
    put(*(f"person:{number}" for number in range(120)), reference="plan:1")

    assert carry(LANE) == 120

    assert [len(batch) for batch in handler.seen] == [50, 50, 20]
    assert set(states()) == {"confirmed"}
    assert Attempt.objects.filter(outcome="confirmed", digest=DIGEST, number=1).count() == 120
    assert progress(reference="plan:1").is_green
    told = {key: value for event in events("delivery.settled") for key, value in event.details["rows"].items()}
    assert told == {str(row.pk): row_digest(row) for row in Delivery.objects.all()}


def test_an_edited_row_is_found_by_who_holds_the_book() -> None:
    row = put_one()
    carry(LANE)
    Delivery.objects.filter(pk=row.pk).update(digest="0" * 64)
    row.refresh_from_db()
    assert events("delivery.settled")[0].details["rows"][str(row.pk)] != row_digest(row)


def test_what_fails_for_good_is_dead_and_told() -> None:
    row = put_one()
    let_it(answering(failed("scim.invalid", "no such attribute", status=400)))
    carry(LANE)
    row.refresh_from_db()
    assert (row.state, row.reason, row.status, attempts(row)) == ("dead", "scim.invalid", 400, ["failed"])
    assert events("delivery.dead")[0].details["ids"] == [row.pk]


def test_what_is_skipped_says_why_and_is_green() -> None:
    row = put_one(reference="plan:1")
    let_it(answering(skipped("already.so")))
    carry(LANE)
    row.refresh_from_db()
    assert (row.state, row.reason) == ("skipped", "already.so")
    assert progress(reference="plan:1").is_green


def test_what_is_to_be_retried_waits_longer_each_time_and_dies_in_the_end() -> None:
    row = put_one()
    let_it(answering(retry("target.conflict", status=409)))
    waits = []
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(limits.DELIVERY_ATTEMPTS):
            assert carry(LANE) == 1
            row.refresh_from_db()
            waits.append(row.due_at - timezone.now())
            clock.move_to(row.due_at)
        assert carry(LANE) == 0
    assert waits[:3] == [timedelta(seconds=4), timedelta(seconds=8), timedelta(seconds=16)]
    assert max(waits) == limits.DELIVERY_BACKOFF_MAX
    assert (row.state, len(attempts(row))) == ("dead", limits.DELIVERY_ATTEMPTS)


def test_it_is_not_tried_before_its_time() -> None:
    put()
    let_it(answering(retry("target.conflict", status=409, after=timedelta(minutes=5))))
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert [carry(LANE), carry(LANE)] == [1, 0]
        clock.shift(timedelta(minutes=5))
        assert carry(LANE) == 0, "a little later than asked, so that many do not come at once"
        clock.shift(timedelta(seconds=32))
        assert carry(LANE) == 1


def test_a_receiver_cannot_ask_for_years() -> None:
    row = put_one()
    let_it(answering(retry("target.busy", status=409, after=timedelta(days=4000))))
    carry(LANE)
    row.refresh_from_db()
    assert row.due_at < timezone.now() + 2 * limits.DELIVERY_WAIT_MAX


@pytest.mark.parametrize("outcome", [retry("target.conflict", status=409), failed("scim.invalid", status=400)])
def test_what_must_arrive_is_never_given_up(outcome: object) -> None:
    row = put_one(must_arrive=True)
    let_it(answering(outcome))  # type: ignore[arg-type]
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(limits.DELIVERY_ATTEMPTS + 5):
            assert carry(LANE) == 1
            clock.shift(limits.DELIVERY_BACKOFF_MAX)
    row.refresh_from_db()
    assert row.state == "retrying"


def test_the_urgent_go_first_and_then_the_oldest(handler: Scripted) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        order = (Priority.BULK, Priority.NORMAL, Priority.URGENT, Priority.NORMAL)
        rows = []
        for number, priority in enumerate(order):
            rows.append(put_one(f"person:{number}", priority=priority))
            clock.shift(timedelta(seconds=1))
        carry(LANE)
    assert handler.seen == [[rows[2].pk, rows[1].pk, rows[3].pk, rows[0].pk]]


def test_kinds_of_one_lane_go_to_their_own_handlers(handler: Scripted, other: Scripted) -> None:
    letter, parcel = put_one(), put_one("person:2", kind="parcel")
    assert carry(LANE) == 2
    assert (handler.seen, other.seen) == ([[letter.pk]], [[parcel.pk]])


def test_what_the_handler_leaves_unsettled_is_tried_again() -> None:
    first, second = put("person:1", "person:2")
    let_it(lambda _lane, batch, settle: settle([(batch[0], confirmed(DIGEST))]))
    carry(LANE)
    assert states() == ["confirmed", "retrying"]
    second.refresh_from_db()
    assert (second.reason, attempts(second), attempts(first)) == ("delivery.unsettled", ["retrying"], ["confirmed"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [RuntimeError("secret"), OperationalError("the database went away")])
def test_a_handler_that_breaks_off_keeps_what_it_settled(error: Exception) -> None:
    def act(_lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        settle([(batch[0], confirmed(DIGEST))])
        raise error

    _, second = put("person:1", "person:2")
    let_it(act)
    carry(LANE)
    second.refresh_from_db()
    assert states() == ["confirmed", "retrying"]
    assert (second.reason, second.detail) == ("delivery.broken", type(error).__name__)


def test_a_kind_that_lost_its_handler_waits_and_lets_others_pass(settings: object, handler: Scripted) -> None:
    put("person:1", kind="parcel")
    put("person:2")
    settings.DELIVERY_HANDLERS = {"letter": "tests.broker.delivery.handlers.HANDLER"}  # type: ignore[attr-defined]
    carry(LANE)
    assert states() == ["retrying", "confirmed"]


def test_rows_of_the_handlers_own_are_written_with_the_outcome_or_not_at_all() -> None:
    def broken() -> None:
        put("person:9", lane="target:erp")
        raise RuntimeError("no")

    row = put_one()
    let_it(lambda _lane, batch, settle: settle([(batch[0], confirmed(DIGEST))], within=broken))
    carry(LANE)
    row.refresh_from_db()
    assert (row.state, row.reason) == ("retrying", "delivery.broken")
    assert Delivery.objects.count() == 1, "what the handler wrote is gone with it"

    Delivery.objects.update(due_at=timezone.now())
    let_it(
        lambda _lane, batch, settle: settle(
            [(batch[0], confirmed(DIGEST))], within=lambda: put("person:9", lane="target:erp") and None
        )
    )
    carry(LANE)
    assert states() == ["confirmed", "pending"]


def test_a_row_is_settled_once_and_only_if_it_is_of_the_batch() -> None:
    stranger = put_one("person:9", lane="target:erp")
    refused = []

    def act(_lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        settle([(batch[0], confirmed(DIGEST))])
        for row in (batch[0], stranger):
            with pytest.raises(ValueError, match="settled once"):
                settle([(row, failed("x"))])
            refused.append(row)

    put()
    let_it(act)
    carry(LANE)
    assert (len(refused), sorted(states())) == (2, ["confirmed", "pending"])


def test_a_handler_may_settle_from_threads_of_its_own(transactional_db: None) -> None:
    def act(_lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        def run(row: Delivery) -> None:
            settle([(row, confirmed(DIGEST))])
            connection.close()

        # One after the other: SQLite in memory has one writer, and the claim is that any thread may.
        for row in batch:
            thread = Thread(target=run, args=(row,))
            thread.start()
            thread.join(timeout=10)

    put("person:1", "person:2", "person:3")
    let_it(act)
    carry(LANE)
    assert states() == ["confirmed"] * 3


def test_a_lane_that_an_operator_pauses_meanwhile_takes_no_further_attempt(handler: Scripted) -> None:
    def act(_lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        pause_lane(LANE, reason="maintenance", actor=ADA)
        settle([(batch[0], confirmed(DIGEST))])
        assert settle.is_over

    handler.batch = 2
    put("person:1", "person:2", "person:3")
    let_it(act)
    assert carry(LANE) == 2
    assert states() == ["confirmed", "pending", "pending"]
    assert (lane().state, lane().reason) == ("paused", "maintenance")
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0, 1}
    assert carry(LANE) == 0


def test_what_is_left_of_a_batch_makes_way_for_what_is_more_urgent(handler: Scripted) -> None:
    order = []

    def act(_lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        for row in batch:
            if settle.is_over:
                return
            order.append(row.subject)
            if row.subject == "person:1":
                put("person:9", priority=Priority.URGENT)
            settle([(row, confirmed(DIGEST))])

    put("person:1", "person:2", "person:3")
    let_it(act)
    carry(LANE)
    assert order == ["person:1", "person:9", "person:2", "person:3"]
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}


def test_no_lane_no_turn() -> None:
    assert carry("nobody") == 0


def test_a_claim_takes_no_more_than_the_limit_whatever_the_handler_says(
    handler: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DELIVERY_BATCH", 3)
    handler.batch = 1_000_000
    put(*(f"person:{number}" for number in range(5)))
    carry(LANE)
    assert [len(batch) for batch in handler.seen] == [3, 2]
