"""The rules of a decision, each by its name."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from broker import limits
from broker.actors import ActorKind
from broker.approvals.humans import account_keys, is_same_human
from broker.approvals.models import Approval
from broker.errors import BrokerError
from broker.events.catalogue import OPERATOR_CHANGED, OPERATOR_CREATED, OPERATOR_RESET
from broker.events.models import Event
from broker.wording import in_words

ARRANGING = (OPERATOR_CREATED, OPERATOR_RESET, OPERATOR_CHANGED)
RIGHT = "approvals.change_approval"


@dataclass(frozen=True, slots=True)
class Decision:
    """One operator at one question. `digest` is of the thing as it stands now, None when it is gone."""

    approval: Approval
    operator: Any
    digest: str | None
    now: datetime


def check_may_decide(decision: Decision) -> None:
    """The account is open, its person too, and its role may change things."""
    if not decision.operator.has_perm(RIGHT):
        raise BrokerError("approval.not_allowed", expected="an open account that may change things")


def check_pending(decision: Decision) -> None:
    """Nobody decided it before."""
    state = decision.approval.state
    if state != Approval.State.PENDING:
        raise BrokerError("approval.decided", expected=Approval.State.PENDING, actual=state)


def check_not_expired(decision: Decision) -> None:
    """It did not wait too long."""
    if decision.now >= decision.approval.expires_at:
        raise BrokerError("approval.expired", expected=decision.approval.expires_at, actual=decision.now)


def check_not_own(decision: Decision) -> None:
    """Another account asked for it."""
    if decision.approval.requested_by_id == decision.operator.pk:
        raise BrokerError("approval.own", expected="another operator", actual=f"operator {decision.operator.pk}")


def check_two_humans(decision: Decision) -> None:
    """Another human asked for it."""
    if is_same_human(decision.approval.requested_by, decision.operator):
        accounts = f"operators {decision.approval.requested_by_id} and {decision.operator.pk}"
        raise BrokerError("approval.same_human", expected="two humans", actual=f"one behind {accounts}")


def check_not_arranged(decision: Decision) -> None:
    """Nobody lately gave both accounts their password or their person, nor either of the two the other's or its own.

    Whoever did may hold both in one hand; so may who set up the account that did.
    """
    accounts = {decision.approval.requested_by_id, decision.operator.pk}
    arranged = _arranged_since(decision.now - limits.APPROVAL_ACCOUNT_REST)
    one, other = (_hands_on(account, arranged) for account in accounts)
    for event, by, whom in arranged:
        if (by in one & other and whom in one | other) or (by == whom and by in accounts):
            expected = f"no {event.type} within {in_words(limits.APPROVAL_ACCOUNT_REST)}"
            raise BrokerError("approval.same_human", expected=expected, actual=f"event {event.pk}")


def check_unchanged(decision: Decision) -> None:
    """It is still exactly what was asked for."""
    if decision.digest != decision.approval.digest:
        raise BrokerError("approval.changed", expected=decision.approval.digest, actual=decision.digest or "gone")


def check_own(decision: Decision) -> None:
    """This account asked for it."""
    if decision.approval.requested_by_id != decision.operator.pk:
        asker = f"operator {decision.approval.requested_by_id}"
        raise BrokerError("approval.not_allowed", expected=asker, actual=f"operator {decision.operator.pk}")


Check = Callable[[Decision], None]
APPROVAL_CHECKS: tuple[Check, ...] = (
    check_may_decide,
    check_pending,
    check_not_expired,
    check_not_own,
    check_two_humans,
    check_not_arranged,
    check_unchanged,
)
REFUSAL_CHECKS: tuple[Check, ...] = (check_may_decide, check_pending)
WITHDRAWAL_CHECKS: tuple[Check, ...] = (check_may_decide, check_pending, check_own)


_Arranged = list[tuple[Event, int, int]]
"""(what happened, the account that did it, the account to which it was done)"""


def _arranged_since(since: datetime) -> _Arranged:
    events = Event.objects.filter(
        at__gte=since,
        type__in=[event.name for event in ARRANGING],
        actor_kind=ActorKind.OPERATOR,
        subject_kind="operator",
    ).order_by("pk")
    # A password of one's own gives nobody anything.
    found = [event for event in events if event.details.get("changed") != ["password"]]
    keys = account_keys({event.actor_id for event in found})
    return [(event, keys[event.actor_id], int(event.subject_id)) for event in found if event.actor_id in keys]


def _hands_on(account: int, arranged: _Arranged) -> set[int]:
    """The account itself, who set it up, and who set those up."""
    hands, size = {account}, 0
    while len(hands) > size:
        size = len(hands)
        hands |= {by for _, by, whom in arranged if whom in hands}
    return hands
