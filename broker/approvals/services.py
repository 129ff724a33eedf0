"""Asking for an approval, and deciding it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM, Actor
from broker.approvals.checks import (
    APPROVAL_CHECKS,
    REFUSAL_CHECKS,
    RIGHT,
    WITHDRAWAL_CHECKS,
    Check,
    Decision,
)
from broker.approvals.handlers import digest_of, handler_of
from broker.approvals.humans import is_operator, operator_behind
from broker.approvals.models import Approval
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.catalogue import EventType
from broker.events.services import record

REASON_CHARS = 300


@transaction.atomic
def request_approval(
    kind: str,
    *,
    subject: tuple[str, object],
    title: str,
    after: Mapping[str, Any],
    actor: Actor,
    before: Mapping[str, Any] | None = None,
) -> Approval:
    """Ask a second operator for `subject` ((kind of thing, id)) as its handler reads it now.

    `title`, `before` and `after` are for people: one line, and {what: printable value}. An older question about the
    same thing is withdrawn when the thing has changed since. Raises BrokerError: approval.not_allowed unless `actor`
    is an operator who may change things, approval.nothing, approval.pending when exactly this is asked already.
    """
    operator = operator_behind(actor)
    if not operator.has_perm(RIGHT):
        raise BrokerError("approval.not_allowed", expected="an open account that may change things")
    content = handler_of(kind).content(str(subject[1]))
    if content is None:
        raise BrokerError("approval.nothing", actual=f"{subject[0]} {subject[1]}")
    digest, now = digest_of(content), timezone.now()
    for older in Approval.objects.select_for_update().filter(
        kind=kind, subject_id=str(subject[1]), state=Approval.State.PENDING
    ):
        if older.digest == digest and now < older.expires_at:
            raise BrokerError("approval.pending", actual=f"approval {older.pk}")
        _close(older, Approval.State.WITHDRAWN, reason="asked anew", actor=actor, decided_by=operator)
    approval = Approval.objects.create(
        kind=kind,
        subject_kind=subject[0],
        subject_id=str(subject[1]),
        title=title,
        before=dict(before or {}),
        after=dict(after),
        digest=digest,
        requested_by=operator,
        requested_at=now,
        expires_at=now + limits.APPROVAL_LIFETIME,
        trace_id=actor.trace_id,
    )
    _record(catalogue.APPROVAL_REQUESTED, approval, actor=actor)
    return approval


def approve(approval: Approval, *, actor: Actor, reason: str = "") -> Approval:
    """Approve it and bring it into force, both or neither. Raises BrokerError: the code of a check, or the handler's.

    An attempt that a check stops is an event of its own.
    """
    try:
        return _approve(approval, actor=actor, reason=reason)
    except BrokerError as error:
        _record(catalogue.APPROVAL_DENIED, approval, actor=actor, code=error.code)
        raise


def refuse(approval: Approval, *, actor: Actor, reason: str) -> Approval:
    """Refuse it, with a reason for the one who asked. Raises BrokerError: approval.no_reason, or the code of a check.

    One operator is enough for that, and may refuse what they asked for: nothing comes into force by it.
    """
    reason = reason.strip()
    if not reason:
        raise BrokerError("approval.no_reason")
    with transaction.atomic():
        approval, operator = _judged(approval, REFUSAL_CHECKS, actor=actor)
        handler_of(approval.kind).refuse(approval.subject_id, actor=actor, reason=reason[:REASON_CHARS])
        return _close(approval, Approval.State.REFUSED, reason=reason, actor=actor, decided_by=operator)


def withdraw(approval: Approval, *, actor: Actor, reason: str = "") -> Approval:
    """Take back what one asked for oneself. Raises BrokerError."""
    with transaction.atomic():
        approval, operator = _judged(approval, WITHDRAWAL_CHECKS, actor=actor)
        return _close(approval, Approval.State.WITHDRAWN, reason=reason, actor=actor, decided_by=operator)


@transaction.atomic
def withdraw_for(kind: str, subject_id: object, *, reason: str, actor: Actor) -> int:
    """Withdraw what waits about a thing that is gone or was decided otherwise. Returns how many."""
    waiting = Approval.objects.select_for_update().filter(
        kind=kind, subject_id=str(subject_id), state=Approval.State.PENDING
    )
    operator = operator_behind(actor) if waiting and is_operator(actor) else None
    for approval in waiting:
        _close(approval, Approval.State.WITHDRAWN, reason=reason, actor=actor, decided_by=operator)
    return len(waiting)


def pending_of(kind: str, subject_id: object) -> Approval | None:
    """The question that waits about a thing."""
    waiting = Approval.objects.filter(kind=kind, subject_id=str(subject_id), state=Approval.State.PENDING)
    return waiting.select_related("requested_by").first()


@transaction.atomic
def expire_due(*, now: datetime) -> int:
    """Close what waited too long. Returns how many."""
    due = Approval.objects.select_for_update().filter(state=Approval.State.PENDING, expires_at__lte=now)
    for approval in due:
        _close(approval, Approval.State.EXPIRED, reason="", actor=SYSTEM, decided_by=None)
    return len(due)


@transaction.atomic
def _approve(approval: Approval, *, actor: Actor, reason: str) -> Approval:
    approval, operator = _judged(approval, APPROVAL_CHECKS, actor=actor)
    handler_of(approval.kind).activate(
        approval.subject_id,
        proposed_by=approval.requested_by.email,
        approved_by=operator.email,
        actor=actor,
    )
    return _close(approval, Approval.State.APPROVED, reason=reason, actor=actor, decided_by=operator)


def _judged(approval: Approval, checks: Iterable[Check], *, actor: Actor) -> tuple[Approval, Any]:
    """The locked question and the operator, after every check."""
    approval = Approval.objects.select_for_update(of=("self",)).get(pk=approval.pk)
    operator = operator_behind(actor)
    content = handler_of(approval.kind).content(approval.subject_id)
    digest = digest_of(content) if content is not None else None
    decision = Decision(approval=approval, operator=operator, digest=digest, now=timezone.now())
    for check in checks:
        check(decision)
    return approval, operator


_EVENTS: dict[str, EventType] = {
    Approval.State.APPROVED: catalogue.APPROVAL_APPROVED,
    Approval.State.REFUSED: catalogue.APPROVAL_REFUSED,
    Approval.State.WITHDRAWN: catalogue.APPROVAL_WITHDRAWN,
    Approval.State.EXPIRED: catalogue.APPROVAL_EXPIRED,
}


def _close(approval: Approval, state: Approval.State, *, reason: str, actor: Actor, decided_by: Any) -> Approval:
    approval.state, approval.reason = state, reason[:REASON_CHARS]
    approval.decided_at, approval.decided_by = timezone.now(), decided_by
    approval.save(update_fields=["state", "reason", "decided_at", "decided_by"])
    _record(_EVENTS[state], approval, actor=actor)
    return approval


def _record(event_type: EventType, approval: Approval, *, actor: Actor, code: str = "") -> None:
    record(
        event_type,
        actor=actor,
        subject=("approval", approval.pk),
        code=code,
        kind=approval.kind,
        about=f"{approval.subject_kind} {approval.subject_id}",
        digest=approval.digest,
        requested_by=approval.requested_by_id,
    )
