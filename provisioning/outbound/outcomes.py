"""What an error of a target means for a delivery and for the lane."""

from datetime import datetime

from broker.delivery.outcomes import Outcome, Pause, Stop, failed, retry
from broker.delivery.waiting import asked_pause
from provisioning.outbound.connectors.base import WAIT_WITHOUT_WORD, TargetError

_TRANSPORT = frozenset(
    {
        "target.unreachable",
        "target.timeout",
        "target.cut",
        "target.redirect",
        "target.too_large",
        "target.not_scim",
        "target.error",
    }
)
"""Nobody answered who could: so many in a row break the lane."""
_FINAL = frozenset(
    {
        "target.conflict",
        "target.taken",
        "target.foreign",
        "target.refused",
        "target.forbidden",
        "target.not_offered",
        "target.incomplete",
    }
)
"""Trying again would change nothing until somebody mends something."""


def outcome_of(error: TargetError, *, now: datetime) -> Outcome:
    """A retry, a failure, and what the lane shall do meanwhile."""
    status, detail = error.http_status, error.detail
    if error.code == "target.unauthorized":
        return retry(error.code, detail, status=status, lane=Stop("the target refuses our credential (401)"))
    if error.code == "target.credential":
        return retry(error.code, detail, lane=Stop("the target has no credential that opens"))
    if error.code == "target.no_token":
        if status is not None and status < 500:
            return retry(error.code, detail, status=status, lane=Stop("the target's token endpoint refuses us"))
        return retry(error.code, detail, status=status, is_unanswered=True)
    pause = asked_pause(status, error.headers, now=now) if status is not None else None
    if error.code == "target.throttled" and pause is None:
        pause = Pause(now + WAIT_WITHOUT_WORD, f"the receiver answered {status}")
    if pause is not None:
        return retry("target.throttled", detail, status=status, lane=pause, is_unanswered=False)
    if status == 404:
        return retry("target.changed_meanwhile", detail, status=status, is_unanswered=False)
    if error.code in _FINAL:
        return failed(error.code, detail, status=status)
    return retry(error.code, detail, status=status, is_unanswered=error.code in _TRANSPORT)
