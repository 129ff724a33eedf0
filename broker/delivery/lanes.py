"""Whose turn it is in a lane, and whether the lane takes attempts: its circuit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.backoff import bounded, pause_after
from broker.delivery.models import Lane
from broker.delivery.outcomes import Outcome, Pause, Stop
from broker.events.catalogue import LANE_BROKEN, LANE_RECOVERED, LANE_STOPPED
from broker.events.services import record
from broker.leases import new_lease

CARRIED = (Lane.State.OPEN, Lane.State.BROKEN)


@dataclass(frozen=True, slots=True)
class Circuit:
    """How the lane was when it was last read or written. `is_over`: it takes no further attempt now."""

    state: str
    failures: int
    pauses: int
    is_over: bool = False

    @property
    def is_trial(self) -> bool:
        """Whether one attempt shall show if somebody answers again."""
        return self.state == Lane.State.BROKEN


@dataclass(slots=True)
class Turn:
    """One carrier's turn in a lane. The circuit follows what is committed."""

    lane: str
    lease: str
    is_slow: bool
    circuit: Circuit


def take_turn(name: str) -> Turn | None:
    """The lane for one carrier, None when it takes no attempt now or another has it."""
    now, lease = timezone.now(), new_lease()
    free = Lane.objects.filter(
        Q(lease_until=None) | Q(lease_until__lt=now),
        Q(not_before=None) | Q(not_before__lte=now),
        name=name,
        state__in=CARRIED,
    )
    if not free.update(lease=lease, lease_until=now + limits.DELIVERY_LEASE):
        return None
    lane = Lane.objects.get(name=name)
    return Turn(name, lease, lane.is_slow, Circuit(lane.state, lane.failures, lane.pauses))


def keep_turn(turn: Turn, **changes: Any) -> bool:
    """Prolong the turn, with `changes` of the lane. False when it is another's, or an operator paused the lane."""
    mine = Lane.objects.filter(name=turn.lane, lease=turn.lease, state__in=CARRIED)
    return bool(mine.update(lease_until=timezone.now() + limits.DELIVERY_LEASE, **changes))


def end_turn(turn: Turn, *, is_slow: bool) -> None:
    """Give the lane back."""
    Lane.objects.filter(name=turn.lane, lease=turn.lease).update(
        lease="", lease_until=None, carried_at=timezone.now(), is_slow=is_slow
    )


def note_outcomes(turn: Turn, outcomes: Sequence[Outcome], *, now: datetime) -> Circuit:
    """What these outcomes say of the lane, written with the events of it in the transaction that settles them.

    Returns the circuit as it is once that is committed.
    """
    was, failures, pauses = turn.circuit, turn.circuit.failures, turn.circuit.pauses
    for outcome in outcomes:
        failures = 0 if _is_answer(outcome) else failures + 1
    is_answered = any(map(_is_answer, outcomes))
    changes: dict[str, Any] = {}
    if stop := next((one.lane for one in outcomes if isinstance(one.lane, Stop)), None):
        changes = {"state": Lane.State.STOPPED, "reason": stop.reason[:500]}
        record(LANE_STOPPED, actor=SYSTEM, subject=("lane", turn.lane), reason=stop.reason[:500])
    elif pauses_asked := [one.lane for one in outcomes if isinstance(one.lane, Pause)]:
        longest = max(pauses_asked, key=lambda one: one.until)
        changes = {"not_before": now + bounded(longest.until - now), "reason": longest.reason[:500]}
    elif failures >= limits.LANE_FAILURES or (was.is_trial and not is_answered and failures):
        if not was.is_trial:
            record(LANE_BROKEN, actor=SYSTEM, subject=("lane", turn.lane), failures=failures)
        reason = f"{failures} attempts in a row had no answer"
        changes = {"state": Lane.State.BROKEN, "not_before": now + pause_after(pauses), "reason": reason}
        pauses += 1
    if was.is_trial and is_answered:
        changes = {"state": Lane.State.OPEN, "reason": ""} | changes
        pauses = 0
        record(LANE_RECOVERED, actor=SYSTEM, subject=("lane", turn.lane))
    state = str(changes.get("state", was.state))
    if changes:
        changes |= {"changed_at": now, "changed_by": ""}
    if (failures, pauses) != (was.failures, was.pauses):
        changes |= {"failures": failures, "pauses": pauses}
    is_mine = keep_turn(turn, **changes)
    is_over = was.is_over or not is_mine or "not_before" in changes or state == Lane.State.STOPPED
    return Circuit(state, failures, pauses, is_over)


def _is_answer(outcome: Outcome) -> bool:
    return not outcome.is_unanswered or outcome.lane is not None
