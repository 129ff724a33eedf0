"""Rows are written with their cause, and a newer one takes the place of one that has not begun."""

import pytest
from django.db import transaction

from broker import limits
from broker.actors import SYSTEM, Actor, ActorKind
from broker.delivery.digests import row_digest
from broker.delivery.enqueueing import NewDelivery, enqueue
from broker.delivery.models import Delivery, Lane, Priority
from broker.events.catalogue import PERSON_CHANGED
from broker.events.services import record
from tests.broker.delivery.ledger import LANE, events, put, put_one, states

pytestmark = pytest.mark.django_db


def test_a_kind_that_nothing_carries_is_refused() -> None:
    with pytest.raises(LookupError):
        put(kind="pigeon")
    assert not Delivery.objects.exists()


def test_a_payload_above_the_limit_is_refused_with_all_that_comes_with_it() -> None:
    with pytest.raises(ValueError, match="payload"):
        enqueue(
            "letter",
            [NewDelivery(LANE, "a"), NewDelivery(LANE, "b", {"x": "y" * limits.DELIVERY_PAYLOAD_BYTES})],
            actor=SYSTEM,
        )
    assert not Delivery.objects.exists()


def test_rows_vanish_with_the_transaction_of_their_cause() -> None:
    class Undone(Exception):
        pass

    def undo() -> None:
        with transaction.atomic():
            put()
            raise Undone

    with pytest.raises(Undone):
        undo()
    assert not Delivery.objects.exists()


def test_a_row_says_who_caused_it_and_by_which_event() -> None:
    cause = record(PERSON_CHANGED, actor=Actor(ActorKind.SYSTEM, "countersign", trace_id="ABCDE-FGHJK"))
    [row] = enqueue("letter", [NewDelivery(LANE, "a", {"n": 1}, title="Ada")], actor=SYSTEM, cause=cause)
    row.refresh_from_db()
    assert (row.cause_event_id, row.trace_id, row.actor) == (cause.pk, "ABCDE-FGHJK", "system:countersign")
    assert (row.payload, row.title, row.state, row.attempts) == ({"n": 1}, "Ada", "pending", 0)


def test_a_newer_row_supersedes_one_that_waits_and_the_book_has_its_digest() -> None:
    old = put_one()
    new = put_one()
    old.refresh_from_db()
    assert states() == ["superseded", "pending"]
    assert (old.superseded_by, old.settled_at is None) == (new.pk, False)
    assert events("delivery.settled")[0].details["rows"] == {str(old.pk): row_digest(old)}


@pytest.mark.parametrize("other", [{"kind": "parcel"}, {"lane": "target:erp"}])
def test_what_is_of_another_kind_or_lane_is_not_superseded(other: dict[str, str]) -> None:
    put()
    put(**other)
    put("person:2")
    assert states() == ["pending"] * 3


def test_a_newer_row_keeps_the_hold_the_urgency_and_the_duty_of_the_older() -> None:
    put(hold="breaker:crm:1", priority=Priority.URGENT, must_arrive=True)
    new = put_one()
    assert (new.hold, new.priority, new.must_arrive) == ("breaker:crm:1", Priority.URGENT, True)
    assert new.late_at is not None


def test_a_held_row_does_not_escape_by_another_hold() -> None:
    put(hold="breaker:crm:1")
    assert put_one(hold="breaker:crm:2").hold == "breaker:crm:2"


def test_of_two_rows_for_the_same_in_one_call_the_later_is_written() -> None:
    rows = enqueue(
        "letter",
        [NewDelivery(LANE, "a", {"n": 1}, Priority.URGENT, hold="x"), NewDelivery(LANE, "a", {"n": 2})],
        actor=SYSTEM,
    )
    assert [(row.payload, row.priority, row.hold) for row in rows] == [({"n": 2}, Priority.URGENT, "x")]
    assert Delivery.objects.count() == 1


def test_nothing_writes_nothing() -> None:
    assert enqueue("letter", [], actor=SYSTEM) == []
    assert not Lane.objects.exists()
