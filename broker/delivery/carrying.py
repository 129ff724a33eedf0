"""Carrying: one turn in one lane, a slice of time long, so that a slow receiver holds up its own lane only."""

import time
from threading import BoundedSemaphore

import structlog
from django.conf import settings
from django.db import OperationalError

from broker import limits
from broker.delivery.claiming import Batch, claim, release, supersede_outdated
from broker.delivery.enqueueing import wake
from broker.delivery.handlers import LeaseLost, handler_of
from broker.delivery.lanes import Turn, end_turn, take_turn
from broker.delivery.outcomes import Outcome, retry
from broker.delivery.settling import Settling

log = structlog.get_logger(__name__)
places = BoundedSemaphore(limits.DELIVERY_CARRIERS)
slow_places = BoundedSemaphore(limits.DELIVERY_SLOW_CARRIERS)
"""Of this process."""


def carry(lane: str) -> int:
    """Deliver what is due in this lane, claiming for `limits.DELIVERY_SLICE` at most. Returns how many rows it tried.

    Does nothing where another carries this lane, or all places of this process are taken: the sweep rings again.
    """
    if not places.acquire(blocking=False):
        return 0
    try:
        turn = take_turn(lane)
        return _carry(turn) if turn else 0
    finally:
        places.release()


def _carry(turn: Turn) -> int:
    if turn.is_slow and not slow_places.acquire(blocking=False):
        end_turn(turn, is_slow=True)
        return 0
    began = time.monotonic()
    until = began + limits.DELIVERY_SLICE.total_seconds()
    total, is_more = 0, False
    try:
        supersede_outdated(turn.lane)
        while batch := claim(turn):
            total += len(batch.rows)
            _deliver(turn, batch)
            is_more = not turn.is_over
            if turn.is_over or time.monotonic() > until:
                break
        else:
            is_more = False
    except LeaseLost:
        log.warning("a lane was taken over or paused", lane=turn.lane, exc_info=True)
    finally:
        if turn.is_slow:
            slow_places.release()
        end_turn(turn, is_slow=time.monotonic() > until + limits.DELIVERY_SLICE.total_seconds())
    if is_more:
        wake([turn.lane])
    return total


def _deliver(turn: Turn, batch: Batch) -> None:
    settle = Settling(turn, batch)
    otherwise = retry("delivery.unsettled", is_unanswered=False)
    try:
        if batch.kind in settings.DELIVERY_HANDLERS:
            handler_of(batch.kind).deliver(turn.lane, batch.rows, settle)
        else:
            otherwise = retry("delivery.no_handler", is_unanswered=False)
    except (LeaseLost, OperationalError):
        raise  # Nothing can be written now: the leases end by themselves.
    except Exception as error:
        log.exception("a handler broke off", lane=turn.lane, kind=batch.kind)
        otherwise = retry("delivery.broken", type(error).__name__, is_unanswered=False)
    _settle_rest(settle, batch, otherwise)


def _settle_rest(settle: Settling, batch: Batch, outcome: Outcome) -> None:
    rows = settle.left
    if not rows:
        return
    if settle.is_over:
        release(batch, rows)
    else:
        settle([(row, outcome) for row in rows])
