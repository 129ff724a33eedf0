"""What the breaker holds: asking a second operator for its release, and what follows from the answer."""

import hashlib
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from broker.actors import Actor
from broker.approvals.models import Approval
from broker.approvals.services import request_approval
from broker.delivery.models import Delivery
from broker.delivery.services import drop_hold, release_hold
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from provisioning.outbound.models import Hold
from provisioning.planning.models import Drift, Operation

KIND = "provisioning.release"
OPEN = (Hold.State.OPEN, Hold.State.ASKED)


@transaction.atomic
def ask_release(hold: Hold, *, actor: Actor) -> Approval:
    """Ask a second operator to let go what is held. From now on nothing joins it: what follows waits apart.

    Raises BrokerError: hold.decided, approval.nothing, approval.pending, approval.not_allowed.
    """
    hold = Hold.objects.select_for_update(of=("self",)).select_related("target").get(pk=hold.pk)
    if hold.state not in OPEN:
        raise BrokerError("hold.decided", actual=hold.state)
    waiting = held_rows(hold).count()
    approval = request_approval(
        KIND,
        subject=("hold", hold.pk),
        title=f"Close or delete {waiting} accounts at {hold.target.name}"[:200],
        before={"waiting": waiting, "accounts there": hold.accounts, "target": hold.target.slug},
        after={"to be closed or deleted": waiting, "had gone within the hour": hold.counted},
        actor=actor,
    )
    hold.state, hold.asked_at, hold.asked_by = Hold.State.ASKED, timezone.now(), actor.identifier[:254]
    hold.save(update_fields=["state", "asked_at", "asked_by"])
    return approval


def held_rows(hold: Hold) -> Any:
    """The rows of the ledger that wait under it."""
    return Delivery.objects.filter(hold=hold.name, settled_at=None)


class ReleaseHandler:
    """See broker.approvals.handlers.Handler. The subject is the hold's primary key."""

    page = "admin:outbound_hold_change"

    def content(self, subject_id: str) -> Mapping[str, Any] | None:
        """Whose accounts would be closed: a row that joined, or was taken back, is another question."""
        hold = Hold.objects.select_for_update(of=("self",)).filter(pk=subject_id, state__in=OPEN).first()
        if hold is None:
            return None
        subjects = sorted(set(held_rows(hold).values_list("subject", flat=True)))
        if not subjects:
            return None
        digest = hashlib.sha256("\n".join(subjects).encode()).hexdigest()
        return {"hold": hold.name, "target": hold.target_id, "rows": len(subjects), "subjects": digest}

    def activate(self, subject_id: str, *, proposed_by: str, approved_by: str, actor: Actor) -> None:
        """Let them go."""
        hold = _decided(subject_id, Hold.State.RELEASED, by=approved_by)
        number = release_hold(hold.name, actor=actor)
        Operation.objects.filter(plan__hold=hold.name, state=Operation.State.HELD).update(
            state=Operation.State.ENQUEUED
        )
        Drift.objects.filter(hold=hold.name, repair=Drift.Repair.HELD, repaired_at=None).update(
            repair=Drift.Repair.SENT
        )
        _record(catalogue.BREAKER_RELEASED, hold, number, actor=actor, proposed_by=proposed_by)

    def refuse(self, subject_id: str, *, actor: Actor, reason: str) -> None:
        """They are not sent; the ledger and the plan keep the reason."""
        hold = _decided(subject_id, Hold.State.REFUSED, by=actor.identifier, reason=reason)
        number = drop_hold(hold.name, reason=reason, actor=actor)
        Operation.objects.filter(plan__hold=hold.name, state=Operation.State.HELD).update(
            state=Operation.State.SKIPPED, reason=reason[:300]
        )
        Drift.objects.filter(hold=hold.name, repair=Drift.Repair.HELD, repaired_at=None).update(
            repair=Drift.Repair.REFUSED
        )
        _record(catalogue.BREAKER_REFUSED, hold, number, actor=actor, reason=reason)


def _decided(subject_id: str, state: Hold.State, *, by: str, reason: str = "") -> Hold:
    hold = Hold.objects.select_for_update(of=("self",)).select_related("target__application").get(pk=subject_id)
    if hold.state not in OPEN:
        raise BrokerError("hold.decided", actual=hold.state)
    hold.state, hold.decided_at, hold.decided_by, hold.reason = state, timezone.now(), by[:254], reason[:300]
    hold.save(update_fields=["state", "decided_at", "decided_by", "reason"])
    return hold


def _record(event: catalogue.EventType, hold: Hold, number: int, *, actor: Actor, **details: Any) -> None:
    record(
        event,
        actor=actor,
        subject=("hold", hold.pk),
        application=hold.target.application.slug,
        target=hold.target.slug,
        hold=hold.name,
        deliveries=number,
        **details,
    )


HANDLER = ReleaseHandler()
