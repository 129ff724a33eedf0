"""A worker that is killed at any point loses nothing and doubles nothing that was committed (fault F7).

A kill cannot be caught by the code under test: it is simulated by a carrier that stops in the middle for good, and by
leases of processes that are really gone.
"""

import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from broker import limits
from broker.delivery import carrying
from broker.delivery.carrying import carry
from broker.delivery.claiming import LOSSES_TOGETHER, Batch, claim
from broker.delivery.handlers import LeaseLost, Settle
from broker.delivery.lanes import Turn, take_turn
from broker.delivery.models import Attempt, Delivery, Lane
from broker.delivery.outcomes import confirmed
from broker.delivery.settling import Settling
from broker.delivery.sweeping import due_lanes, sweep
from tests.broker.delivery.handlers import DIGEST, Scripted
from tests.broker.delivery.handlers import script as let_it
from tests.broker.delivery.ledger import LANE, attempts, events, put, put_one, states

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """Nothing of ours catches it, as nothing catches SIGKILL."""


def begin() -> tuple[Turn, Batch]:
    """A carrier that claimed and was never seen again."""
    turn = take_turn(LANE)
    assert turn
    batch = claim(turn)
    assert batch
    return turn, batch


def make_dead() -> str:
    """A lease of a process of this machine that is gone."""
    program = "from broker.leases import new_lease; print(new_lease())"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=settings.ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    return run.stdout.strip()


def test_killed_before_the_claim_the_sweep_finds_what_the_lost_bell_left() -> None:
    put()
    assert due_lanes(timezone.now()) == [LANE]
    assert sweep() == 1
    assert carry(LANE) == 1


def test_killed_after_the_claim_nobody_else_takes_it_before_the_lease_ends(handler: Scripted) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        row = put_one()
        begin()
        clock.shift(limits.DELIVERY_LEASE)
        assert (sweep(), carry(LANE)) == (0, 0)
        assert (handler.seen, states()) == ([], ["delivering"])

        clock.shift(timedelta(seconds=1))
        sweep()
        assert (states(), attempts(row)) == (["retrying"], ["lost"])
        clock.shift(timedelta(seconds=10))
        assert carry(LANE) == 1
    assert (states(), attempts(row)) == (["confirmed"], ["lost", "confirmed"])


@pytest.mark.parametrize("point", ["mid HTTP", "after HTTP before commit", "within the commit"])
def test_killed_in_the_middle_it_is_attempted_once_more(point: str) -> None:
    """What arrived already arrives again: that it does no harm is the handler's part."""

    def kill() -> None:
        raise Killed

    def act(_lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        arrived.append(batch[0].pk)
        if point == "within the commit":
            settle([(batch[0], confirmed(DIGEST))], within=kill)
        raise Killed

    arrived: list[int] = []
    row = put_one()
    let_it(act)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        with pytest.raises(Killed):
            carry(LANE)
        assert (states(), events("delivery.settled")) == (["delivering"], [])
        clock.shift(limits.DELIVERY_LEASE + timedelta(seconds=1))
        sweep()
        clock.shift(timedelta(seconds=10))
        let_it(lambda _lane, batch, settle: settle([(batch[0], confirmed(DIGEST))]))
        assert carry(LANE) == 1
    assert (arrived, attempts(row)) == ([row.pk], ["lost", "confirmed"])
    assert len(events("delivery.settled")) == 1


def test_killed_after_the_commit_it_is_not_attempted_again() -> None:
    def act(_lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        settle([(row, confirmed(DIGEST)) for row in batch])
        raise Killed

    row = put_one()
    let_it(act)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        with pytest.raises(Killed):
            carry(LANE)
        clock.shift(2 * limits.DELIVERY_LEASE)
        assert (sweep(), carry(LANE)) == (0, 0)
    assert (states(), attempts(row)) == (["confirmed"], ["confirmed"])


def test_of_a_batch_only_what_was_not_settled_is_attempted_again() -> None:
    def act(_lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        settle([(row, confirmed(DIGEST)) for row in batch[:60]])
        raise Killed

    put(*(f"person:{number:03}" for number in range(100)))
    scripted().batch = 100
    let_it(act)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        with pytest.raises(Killed):
            carry(LANE)
        scripted().script = None
        clock.shift(limits.DELIVERY_LEASE + timedelta(seconds=1))
        sweep()
        clock.shift(timedelta(seconds=10))
        assert carry(LANE) == 40
    assert set(states()) == {"confirmed"}
    assert Attempt.objects.filter(outcome="confirmed").count() == 100
    assert Attempt.objects.filter(outcome="lost").count() == 40


def test_what_a_dead_process_of_this_machine_holds_is_free_at_the_next_sweep() -> None:
    row = put_one()
    begin()
    dead = make_dead()
    Delivery.objects.update(lease=dead)
    Lane.objects.update(lease=dead)
    sweep()
    assert (states(), attempts(row)) == (["retrying"], ["lost"])
    assert Lane.objects.get().lease_until is None


def test_a_carrier_whose_lease_was_taken_writes_nothing() -> None:
    row = put_one()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        turn, batch = begin()
        clock.shift(limits.DELIVERY_LEASE + timedelta(seconds=1))
        sweep()
        clock.shift(timedelta(seconds=10))
        _, second = begin()
        with pytest.raises(LeaseLost):
            Settling(turn, batch)([(row, confirmed("a" * 64))], within=lambda: put("person:9") and None)
        row.refresh_from_db()
        assert (row.state, row.lease, row.digest) == ("delivering", second.lease, "")
    assert Delivery.objects.count() == 1
    assert attempts(row) == ["lost"]


def test_a_carrier_that_lost_part_of_its_rows_writes_none_of_them() -> None:
    first, second = put("person:1", "person:2")
    turn, batch = begin()
    Delivery.objects.filter(pk=second.pk).update(state="retrying", lease="", lease_until=None)
    with pytest.raises(LeaseLost):
        Settling(turn, batch)([(row, confirmed(DIGEST)) for row in batch.rows])
    first.refresh_from_db()
    assert (first.state, attempts(first)) == ("delivering", [])


def test_a_turn_that_was_taken_over_claims_nothing_more() -> None:
    put("person:1", "person:2")
    scripted().batch = 1
    turn, _ = begin()
    Lane.objects.update(lease="another's")
    with pytest.raises(LeaseLost):
        claim(turn)


def test_settling_renews_the_leases_of_the_rest_and_of_the_lane() -> None:
    put("person:1", "person:2")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        turn, batch = begin()
        settle = Settling(turn, batch)
        clock.shift(limits.DELIVERY_LEASE - timedelta(seconds=1))
        settle([(batch.rows[0], confirmed(DIGEST))])
        clock.shift(limits.DELIVERY_LEASE - timedelta(seconds=1))
        sweep()
        assert states() == ["confirmed", "delivering"]
        assert take_turn(LANE) is None


def test_what_ends_the_worker_again_and_again_is_attempted_alone_and_given_up(handler: Scripted) -> None:
    poison = put_one("person:poison")
    put("person:1", "person:2")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(LOSSES_TOGETHER):
            begin()
            clock.shift(limits.DELIVERY_LEASE + timedelta(seconds=1))
            sweep()
            clock.shift(timedelta(minutes=1))
        handler.batch = 50
        for _ in range(limits.DELIVERY_ATTEMPTS):
            clock.shift(limits.DELIVERY_BACKOFF_MAX)
            let_it(lambda _lane, batch, settle: _kill_at(poison.pk, batch, settle))
            try:
                while carry(LANE):
                    pass
            except Killed:
                clock.shift(limits.DELIVERY_LEASE + timedelta(seconds=1))
                sweep()
    assert all(len(batch) == 1 for batch in handler.seen if poison.pk in batch)
    assert states() == ["dead", "confirmed", "confirmed"]
    assert attempts(poison) == ["lost"] * limits.DELIVERY_ATTEMPTS


def _kill_at(poison: int, batch: Sequence[Delivery], settle: Settle) -> None:
    if poison in [row.pk for row in batch]:
        raise Killed
    settle([(row, confirmed(DIGEST)) for row in batch])


def scripted() -> Scripted:
    from tests.broker.delivery.handlers import HANDLER

    return HANDLER


def test_sweeping_twice_is_sweeping_once() -> None:
    row = put_one()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        begin()
        clock.shift(limits.DELIVERY_LEASE + timedelta(seconds=1))
        sweep()
        sweep()
    assert attempts(row) == ["lost"]


def test_the_same_message_three_times_carries_once(handler: Scripted) -> None:
    put("person:1", "person:2")
    assert [carry(LANE), carry(LANE), carry(LANE)] == [2, 0, 0]
    assert len(handler.seen) == 1


def test_a_database_that_goes_away_in_the_middle_leaves_nothing_waiting_once_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process lives, so that nobody could tell its leases to be dead but itself."""

    def away(*_arguments: object, **_named: object) -> None:
        raise OperationalError("the database is away")

    row = put_one()
    with monkeypatch.context() as patch:
        patch.setattr(Settling, "__call__", away)
        patch.setattr(carrying, "end_turn", away)
        patch.setattr(connection, "close_if_unusable_or_obsolete", lambda: None)
        with pytest.raises(OperationalError):
            carry(LANE)
    assert (states(), take_turn(LANE)) == (["delivering"], None)
    sweep()
    assert (states(), attempts(row)) == (["retrying"], ["lost"])
    assert take_turn(LANE) is not None
