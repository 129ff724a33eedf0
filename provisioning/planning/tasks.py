"""Reconciliations in the background: the scheduler begins them, each task carries a slice."""

from celery import shared_task
from django.utils import timezone

from broker import limits
from broker.bell import ring
from broker.errors import BrokerError
from provisioning.planning import applying, forgetting, scheduling
from provisioning.planning.models import Plan

CARRY = "provisioning.planning.tasks.carry_run"
APPLY = "provisioning.planning.tasks.carry_plan"


@shared_task
def reconcile_due() -> int:
    """Begin what is due, and take up what a killed process left. Returns how many runs are carried on."""
    runs = scheduling.start_due(now=timezone.now())
    for run in runs:
        ring(CARRY, str(run))
    for plan in applying.unfinished_plans(now=timezone.now()):
        ring(APPLY, str(plan))
    return len(runs)


@shared_task
def carry_plan(plan: str) -> None:
    """Go on with a plan that an operator let be applied, for a slice."""
    found = Plan.objects.select_related("run").filter(pk=int(plan), state=Plan.State.APPLYING).first()
    if found is None:
        return
    try:
        actor = applying.applying_actor(found)
        found = applying.apply_plan(found, actor=actor, until=timezone.now() + limits.RUN_SLICE)
    except BrokerError:
        # Another process goes on with it, or the target was switched off: the next sweep looks again.
        return
    if found.state == Plan.State.APPLYING:
        ring(APPLY, plan)


@shared_task
def carry_run(run: str) -> None:
    """One slice of a run; the rest is another task's, so that no target keeps a worker for itself."""
    if scheduling.carry_slice(int(run)):
        ring(CARRY, run)


@shared_task
def forget() -> int:
    """Delete runs, plans and drifts past their retention. Returns how many."""
    return forgetting.forget_ended(now=timezone.now())
