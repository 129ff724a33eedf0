"""A target that held accounts and shows none: asking a second operator to believe it, and what follows."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from broker.actors import Actor
from broker.approvals.models import Approval
from broker.approvals.services import request_approval
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from provisioning.outbound.emptying import take_for_empty
from provisioning.outbound.models import Target
from provisioning.planning.concluding import EMPTY
from provisioning.planning.models import Run
from provisioning.planning.noting import standing

KIND = "provisioning.emptied"


@transaction.atomic
def ask_to_believe(run: Run, *, actor: Actor) -> Approval:
    """Ask a second operator to take the target for empty, by what this run read.

    Raises BrokerError: approval.nothing, approval.pending, approval.not_allowed.
    """
    known = standing(run.target)
    return request_approval(
        KIND,
        subject=("run", run.pk),
        title=f"Take {run.target.name} for empty, and make its accounts anew"[:200],
        before={"accounts there as far as we know": known, "target": run.target.slug},
        after={"accounts that were read": run.accounts, "read at": f"{run.began_at:%Y-%m-%d %H:%M} UTC"},
        actor=actor,
    )


def may_be_believed(run: Run) -> bool:
    """Whether it read nothing where accounts were known, nobody read any since, and they are still thought to stand."""
    if run.code != EMPTY or run.target.retired_at is not None or not run.target.enabled:
        return False
    later = Run.objects.filter(target=run.target, pk__gt=run.pk, outcome__in=(Run.Outcome.OK, Run.Outcome.DRIFT))
    return not later.exists() and standing(run.target) > 0


class EmptiedHandler:
    """See broker.approvals.handlers.Handler. The subject is the run's primary key."""

    page = "admin:planning_run_change"

    def content(self, subject_id: str) -> Mapping[str, Any] | None:
        """What would be forgotten: where another number is known to stand by now, it is another question."""
        run = Run.objects.select_related("target").filter(pk=subject_id).first()
        if run is None:
            return None
        # Nobody reads the target meanwhile without waiting for this.
        Target.objects.select_for_update(of=("self",), no_key=True).get(pk=run.target_id)
        if not may_be_believed(run):
            return None
        return {"run": run.pk, "target": run.target_id, "known": standing(run.target)}

    def activate(self, subject_id: str, *, proposed_by: str, approved_by: str, actor: Actor) -> None:
        """Believe it, and have the accounts made anew."""
        run = Run.objects.select_related("target__application").get(pk=subject_id)
        if not may_be_believed(run):
            raise BrokerError("approval.nothing", actual=f"run {run.pk}")
        number = take_for_empty(run.target, read_at=run.began_at, actor=actor, now=timezone.now())
        record(
            catalogue.TARGET_EMPTIED,
            actor=actor,
            subject=("target", run.target.slug),
            application=run.target.application.slug,
            run=run.pk,
            accounts=number,
            proposed_by=proposed_by,
            approved_by=approved_by,
        )

    def refuse(self, subject_id: str, *, actor: Actor, reason: str) -> None:
        """Nothing follows: the approval keeps the reason."""


HANDLER = EmptiedHandler()
