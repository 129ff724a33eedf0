"""Settling: what became of rows is written in one transaction, by whoever still holds their lease, nobody else."""

import copy
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from math import inf
from threading import Lock

from django.db import transaction
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.backoff import wait_after
from broker.delivery.claiming import Batch, is_outrun
from broker.delivery.enqueueing import record_settled
from broker.delivery.handlers import LeaseLost
from broker.delivery.lanes import Turn, note_outcomes
from broker.delivery.models import Attempt, Delivery
from broker.delivery.outcomes import Outcome, Result
from broker.events.catalogue import DELIVERY_DEAD
from broker.events.services import record
from broker.rows import update_rows

State = Delivery.State
WRITTEN = ("state", "reason", "detail", "status", "digest", "due_at", "failures", "settled_at", "superseded_by")
RENEWED_AFTER = limits.DELIVERY_LEASE / 4
"""How old a lease may be before a settlement renews it: not each one writes all rows that are left."""
ENDINGS = {Result.CONFIRMED: State.CONFIRMED, Result.SKIPPED: State.SKIPPED, Result.FAILED: State.DEAD}
OUTCOMES = {
    Result.CONFIRMED: Attempt.Outcome.CONFIRMED,
    Result.SKIPPED: Attempt.Outcome.SKIPPED,
    Result.FAILED: Attempt.Outcome.FAILED,
    Result.RETRY: Attempt.Outcome.RETRYING,
}


class Settling:
    """`handlers.Settle` for one batch, for which there is time until `until` (of the monotonic clock)."""

    def __init__(self, turn: Turn, batch: Batch, *, until: float = inf) -> None:
        self._until = until
        self._turn = turn
        self._batch = batch
        self._left = {row.pk: row for row in batch.rows}
        self._lock = Lock()
        self._renewed_at = timezone.now()
        self._is_outrun = False

    @property
    def is_over(self) -> bool:
        return self._is_outrun or self._turn.circuit.is_over or time.monotonic() >= self._until

    @property
    def left(self) -> list[Delivery]:
        """The rows of which nothing was said yet."""
        return list(self._left.values())

    def __call__(
        self, outcomes: Sequence[tuple[Delivery, Outcome]], *, within: Callable[[], None] | None = None
    ) -> None:
        with self._lock:
            keys = [row.pk for row, _ in outcomes]
            if len(set(keys)) != len(keys) or not set(keys) <= self._left.keys():
                raise ValueError("each row of the batch is settled once")
            now, left = timezone.now(), len(self._left) - len(keys)
            renews = left > 0 and now - self._renewed_at > RENEWED_AFTER
            with transaction.atomic():
                write_outcomes(outcomes, lease=self._batch.lease)
                circuit = note_outcomes(self._turn, [outcome for _, outcome in outcomes], now=now)
                if renews:
                    _renew(self._batch.lease, left, now=now)
                if within is not None:
                    within()
            self._turn.circuit = circuit
            if renews:
                self._renewed_at = now
            for key in keys:
                del self._left[key]
            # What is left goes back uncounted, behind what came meanwhile and cannot wait as long as a slice.
            self._is_outrun = bool(self._left) and is_outrun(self._turn.lane, self._left.values())


def write_outcomes(
    outcomes: Sequence[tuple[Delivery, Outcome]], *, lease: str, ended: Attempt.Outcome | None = None
) -> None:
    """The rows with their new state, their attempts, and the events of what is settled. Raises LeaseLost.

    `ended` is the outcome of the attempts where it is not what the outcomes say.
    """
    if not outcomes:
        return
    now = timezone.now()
    successors = _successors([row for row, outcome in outcomes if outcome.result is Result.RETRY])
    rows = [_decided(row, outcome, successors.get(row.pk), now=now) for row, outcome in outcomes]
    if _update(rows, lease=lease) != len(rows):
        raise LeaseLost("another carrier has rows of this batch")
    Attempt.objects.bulk_create(
        [_attempt(row, outcome, ended or OUTCOMES[outcome.result], now=now) for row, outcome in outcomes]
    )
    settled = [row for row in rows if row.settled_at]
    record_settled(settled, actor=SYSTEM)
    if dead := [row for row in rows if row.state == State.DEAD]:
        codes = sorted({row.reason for row in dead})
        ids = [row.pk for row in dead]
        record(DELIVERY_DEAD, actor=SYSTEM, subject=("lane", dead[0].lane), lane=dead[0].lane, ids=ids, codes=codes)


def _decided(row: Delivery, outcome: Outcome, successor: int | None, *, now: datetime) -> Delivery:
    """A copy of the row as it will stand: the row itself stays as it is until the commit."""
    row = copy.copy(row)
    row.reason, row.detail, row.status = outcome.code[:64], outcome.detail[:500], outcome.status
    row.digest = outcome.digest
    counts = outcome.result in {Result.RETRY, Result.FAILED} and outcome.lane is None
    row.failures += counts
    is_final = outcome.result is not Result.RETRY or row.failures >= limits.DELIVERY_ATTEMPTS
    if outcome.result in {Result.RETRY, Result.FAILED} and row.must_arrive:
        is_final = False
    if successor is not None and outcome.result is Result.RETRY:
        row.state, row.settled_at, row.superseded_by = State.SUPERSEDED, now, successor
    elif is_final:
        row.state, row.settled_at = ENDINGS.get(outcome.result, State.DEAD), now
    else:
        row.state = State.RETRYING
        row.due_at = now + wait_after(row.failures, outcome.after)
    return row


def _successors(rows: Sequence[Delivery]) -> dict[int, int]:
    """For each of these rows that has a newer one of the same: the newest one's id."""
    if not rows:
        return {}
    found = Delivery.objects.filter(
        lane=rows[0].lane, subject__in={row.subject for row in rows}, settled_at=None, lease_until=None
    ).order_by("pk")
    newest = {(kind, subject): pk for pk, kind, subject in found.values_list("pk", "kind", "subject")}
    keys = {row.pk: newest.get((row.kind, row.subject)) for row in rows}
    return {pk: key for pk, key in keys.items() if key is not None and key > pk}


def _attempt(row: Delivery, outcome: Outcome, ended: Attempt.Outcome, *, now: datetime) -> Attempt:
    return Attempt(
        delivery_id=row.pk,
        number=row.attempts,
        began_at=row.began_at or now,
        ended_at=now,
        outcome=ended,
        code=outcome.code[:64],
        status=outcome.status,
        detail=outcome.detail[:500],
        digest=outcome.digest,
    )


def _renew(lease: str, left: int, *, now: datetime) -> None:
    mine = Delivery.objects.filter(lease=lease, lease_until__isnull=False)
    if mine.update(lease_until=now + limits.DELIVERY_LEASE) != left:
        raise LeaseLost("another carrier has rows of this batch")


def _update(rows: Sequence[Delivery], *, lease: str) -> int:
    """Write `WRITTEN` of rows under this lease, and end it, in one statement. Returns how many there were."""
    return update_rows(
        rows,
        WRITTEN,
        also={
            "lease": "''",
            "lease_until": "NULL",
            "began_at": "NULL",
            "late_at": "CASE WHEN {new[settled_at]} IS NULL THEN {row}.late_at END",
        },
        only="{row}.lease = %s AND {row}.lease_until IS NOT NULL",
        parameters=[lease],
    )
