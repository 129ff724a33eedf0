"""Of one lane and subject one row is under way at a time, older before newer, and the outdated make room (fault F8)."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker.delivery.carrying import carry
from broker.delivery.claiming import claim
from broker.delivery.handlers import Settle
from broker.delivery.lanes import take_turn
from broker.delivery.models import Delivery, Priority
from broker.delivery.outcomes import confirmed, retry
from broker.delivery.services import release_hold
from tests.broker.delivery.handlers import DIGEST, Scripted, answering
from tests.broker.delivery.handlers import script as let_it
from tests.broker.delivery.ledger import ADA, LANE, attempts, put_one, states

pytestmark = pytest.mark.django_db


def test_a_newer_row_waits_for_the_one_under_way_however_urgent(handler: Scripted, other: Scripted) -> None:
    first = put_one(priority=Priority.BULK)
    turn = take_turn(LANE)
    assert turn
    assert claim(turn)
    put_one(priority=Priority.URGENT)
    put_one(kind="parcel", priority=Priority.URGENT)
    assert claim(turn) is None
    assert states() == ["delivering", "pending", "pending"]
    assert first.pk < min(Delivery.objects.filter(state="pending").values_list("pk", flat=True))


def test_one_batch_never_holds_two_rows_of_one_subject(handler: Scripted, other: Scripted) -> None:
    letter, parcel = put_one(), put_one(kind="parcel")
    carry(LANE)
    assert (handler.seen, other.seen) == ([[letter.pk]], [[parcel.pk]])


def test_the_older_of_two_kinds_goes_first_even_when_the_newer_is_urgent(handler: Scripted, other: Scripted) -> None:
    """Ids tell the order: of two transactions at once the later commit may have the smaller one."""
    put_one()
    put_one(kind="parcel", priority=Priority.URGENT)
    order: list[str] = []

    def act(_lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        order.extend(row.kind for row in batch)
        _confirm(batch, settle)

    handler.script = other.script = act
    carry(LANE)
    assert order == ["letter", "parcel"]


def test_subjects_of_other_people_do_not_wait_for_each_other(handler: Scripted) -> None:
    first = put_one("person:1", hold="breaker")
    second = put_one("person:2")
    carry(LANE)
    assert handler.seen == [[second.pk]]
    assert first.pk not in handler.seen[0]


def test_a_newer_row_does_not_pass_one_that_is_held(handler: Scripted, other: Scripted) -> None:
    put_one(hold="breaker:1")
    put_one(kind="parcel")
    assert carry(LANE) == 0
    release_hold("breaker:1", actor=ADA)
    assert carry(LANE) == 2
    assert states() == ["confirmed", "confirmed"]


def test_what_has_to_be_retried_while_a_newer_came_makes_room_for_it() -> None:
    """A disable never waits for the backoff of an older enable."""
    old = put_one()

    def act(_lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        if batch[0].pk == old.pk:
            put_one(priority=Priority.URGENT)
            settle([(batch[0], retry("target.conflict", status=409, after=timedelta(hours=1)))])
        else:
            _confirm(batch, settle)

    let_it(act)
    assert carry(LANE) == 2
    old.refresh_from_db()
    assert (states(), attempts(old)) == (["superseded", "confirmed"], ["retrying"])
    assert old.superseded_by == Delivery.objects.latest("pk").pk


def test_an_older_one_that_began_to_wait_unseen_makes_room_at_the_next_turn() -> None:
    """Two transactions at once: the newer row did not see the older one's failure, nor that the newer."""
    old = put_one()
    let_it(answering(retry("target.conflict", status=409, after=timedelta(hours=1))))
    carry(LANE)
    Delivery.objects.filter(pk=old.pk).update(kind="hidden")
    new = put_one()
    Delivery.objects.filter(pk=old.pk).update(kind="letter")
    let_it(answering(confirmed(DIGEST)))
    assert carry(LANE) == 1
    old.refresh_from_db()
    assert (states(), old.superseded_by) == (["superseded", "confirmed"], new.pk)


def test_two_that_wait_side_by_side_go_one_after_the_other(handler: Scripted) -> None:
    old = put_one()
    Delivery.objects.filter(pk=old.pk).update(kind="hidden")
    new = put_one()
    Delivery.objects.filter(pk=old.pk).update(kind="letter")
    carry(LANE)
    assert handler.seen == [[old.pk], [new.pk]]


def test_a_dead_letter_does_not_hold_up_what_comes_after(handler: Scripted) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        old = put_one()
        Delivery.objects.filter(pk=old.pk).update(state="dead", settled_at=timezone.now())
        new = put_one()
        carry(LANE)
    assert handler.seen == [[new.pk]]


def _confirm(batch: Sequence[Delivery], settle: Settle) -> None:
    settle([(row, confirmed(DIGEST)) for row in batch])
