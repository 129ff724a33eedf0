"""Whose turn it is in a lane, and whether the lane takes attempts: its circuit."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

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


@dataclass(slots=True)
class Turn:
    """One carrier's turn in a lane, with the circuit as it was then and as outcomes changed it since."""

    lane: str
    lease: str
    state: str
    failures: int
    pauses: int
    is_slow: bool
    is_over: bool = False
    """Whether the lane takes no further attempt now."""

    @property
    def is_trial(self) -> bool:
        """Whether one attempt shall show if somebody answers again."""
        return self.state == Lane.State.BROKEN


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
    return Turn(name, lease, lane.state, lane.failures, lane.pauses, lane.is_slow)


def keep_turn(turn: Turn, **changes: object) -> bool:
    """Prolong the turn, with `changes` of the lane. False when it is another's, or an operator paused the lane."""
    mine = Lane.objects.filter(name=turn.lane, lease=turn.lease, state__in=CARRIED)
    return bool(mine.update(lease_until=timezone.now() + limits.DELIVERY_LEASE, **changes))


def end_turn(turn: Turn, *, is_slow: bool) -> None:
    """Give the lane back."""
    Lane.objects.filter(name=turn.lane, lease=turn.lease).update(
        lease="", lease_until=None, carried_at=timezone.now(), is_slow=is_slow
    )


def note_outcomes(turn: Turn, outcomes: Iterable[Outcome], *, now: datetime) -> None:
    """What these outcomes say of the lane, written in the transaction that settles them, with the events of it.

    `turn.is_over` is set when no further attempt is to be made now.
    """
    was = (turn.state, turn.failures, turn.pauses)
    changes: dict[str, object] = {}
    answered = False
    for outcome in outcomes:
        turn.failures = turn.failures + 1 if outcome.is_unanswered else 0
        answered = answered or not outcome.is_unanswered
        if isinstance(outcome.lane, Stop):
            changes |= {"state": Lane.State.STOPPED, "reason": outcome.lane.reason[:500]}
        elif isinstance(outcome.lane, Pause) and changes.get("state") != Lane.State.STOPPED:
            until = now + bounded(outcome.lane.until - now)
            changes |= {"not_before": max(until, _moment(changes, now)), "reason": outcome.lane.reason[:500]}
    if answered and turn.is_trial and "state" not in changes:
        changes |= {"state": Lane.State.OPEN, "reason": changes.get("reason", "")}
        turn.pauses = 0
        record(LANE_RECOVERED, actor=SYSTEM, subject=("lane", turn.lane))
    elif turn.failures >= limits.LANE_FAILURES or (turn.is_trial and turn.failures and not answered):
        changes |= _break(turn, now)
    if changes.get("state") == Lane.State.STOPPED:
        record(LANE_STOPPED, actor=SYSTEM, subject=("lane", turn.lane), reason=changes["reason"])
    turn.state = str(changes.get("state", turn.state))
    turn.is_over = turn.is_over or "not_before" in changes or turn.state not in {*CARRIED}
    if was != (turn.state, turn.failures, turn.pauses) or changes:
        changes |= {"failures": turn.failures, "pauses": turn.pauses, "changed_at": now, "changed_by": ""}
    if not keep_turn(turn, **changes):
        turn.is_over = True


def _break(turn: Turn, now: datetime) -> dict[str, object]:
    wait: timedelta = pause_after(turn.pauses)
    if turn.state == Lane.State.OPEN:
        record(LANE_BROKEN, actor=SYSTEM, subject=("lane", turn.lane), failures=turn.failures)
    turn.pauses += 1
    reason = f"{turn.failures} attempts in a row had no answer"
    return {"state": Lane.State.BROKEN, "not_before": now + wait, "reason": reason}


def _moment(changes: dict[str, object], otherwise: datetime) -> datetime:
    moment = changes.get("not_before")
    return moment if isinstance(moment, datetime) else otherwise
