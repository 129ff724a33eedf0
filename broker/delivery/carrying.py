"""Carrying: one turn in one lane, a slice of time long, so that a slow receiver holds up its own lane only."""

import os
import time

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from broker import limits
from broker.delivery.claiming import Batch, claim, has_claimable, release, supersede_outdated
from broker.delivery.enqueueing import wake
from broker.delivery.handlers import LeaseLost, handler_of
from broker.delivery.lanes import Turn, end_turn, take_turn
from broker.delivery.outcomes import Outcome, retry
from broker.delivery.places import Places
from broker.delivery.settling import Settling
from broker.leases import holding

LEAST_SECONDS = 1.0
"""A batch that was claimed at the end of a slice gets as long all the same."""
log = structlog.get_logger(__name__)
places = Places(limits.DELIVERY_CARRIERS)
slow_places = Places(limits.DELIVERY_SLOW_CARRIERS)


def carry(lane: str) -> int:
    """Deliver what is due in this lane, claiming for `limits.DELIVERY_SLICE` at most. Returns how many rows it tried.

    Does nothing where another carries this lane, or all places of this process are taken: then it is rung once there
    is one.
    """
    if not places.take(lane):
        return 0
    try:
        turn = take_turn(lane)
        if turn is None:
            return 0
        if turn.is_slow and not slow_places.take(lane):
            end_turn(turn, is_slow=True)
            return 0
        try:
            with holding(turn.lease):
                return _carry(turn)
        finally:
            if turn.is_slow:
                _wake_next(slow_places)
    finally:
        _wake_next(places)


def _carry(turn: Turn) -> int:
    until = time.monotonic() + limits.DELIVERY_SLICE.total_seconds()
    total = 0
    try:
        supersede_outdated(turn.lane)
        while not turn.circuit.is_over and time.monotonic() < until and (batch := claim(turn)):
            total += len(batch.rows)
            with holding(batch.lease):
                _deliver(turn, batch, until=max(until, time.monotonic() + LEAST_SECONDS))
    except LeaseLost:
        log.warning("a lane was taken over or paused", lane=turn.lane)
        return total
    finally:
        is_slow = time.monotonic() > until + limits.DELIVERY_SLICE.total_seconds()
        end_turn(turn, is_slow=is_slow)
    # Also what came since the last claim: its bell found the lane taken.
    if not turn.circuit.is_over and has_claimable(turn.lane):
        wake([turn.lane])
    return total


def _deliver(turn: Turn, batch: Batch, *, until: float) -> None:
    settle = Settling(turn, batch, until=until)
    outcome = retry("delivery.unsettled", is_unanswered=False)
    try:
        if batch.kind in settings.DELIVERY_HANDLERS:
            handler_of(batch.kind).deliver(turn.lane, batch.rows, settle)
        else:
            outcome = retry("delivery.no_handler", is_unanswered=False)
    except LeaseLost:
        raise
    except Exception as error:
        log.exception("a handler broke off", lane=turn.lane, kind=batch.kind)
        outcome = retry("delivery.broken", type(error).__name__, is_unanswered=False)
        if isinstance(error, (OperationalError, InterfaceError)):
            # The database went away in the middle. Where it is back, nobody needs to wait for the leases to end.
            connection.close_if_unusable_or_obsolete()
    _settle_rest(settle, batch, outcome)


def _settle_rest(settle: Settling, batch: Batch, outcome: Outcome) -> None:
    rows = settle.left
    if not rows:
        return
    if settle.is_over:
        release(batch, rows)
    else:
        settle([(row, outcome) for row in rows])


def _wake_next(taken: Places) -> None:
    lane = taken.give_back()
    if lane is not None:
        wake([lane])


def _begin_anew() -> None:
    places.forget()
    slow_places.forget()


# A child of this process has none of its threads.
os.register_at_fork(after_in_child=_begin_anew)
