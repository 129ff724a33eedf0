"""Reconciliations in the background: the scheduler begins them, each task carries a slice."""

from celery import shared_task
from django.utils import timezone

from broker.bell import ring
from provisioning.planning import forgetting, scheduling

CARRY = "provisioning.planning.tasks.carry_run"


@shared_task
def reconcile_due() -> int:
    """Begin what is due, and take up what a killed process left. Returns how many runs are carried on."""
    runs = scheduling.start_due(now=timezone.now())
    for run in runs:
        ring(CARRY, str(run))
    return len(runs)


@shared_task
def carry_run(run: str) -> None:
    """One slice of a run; the rest is another task's, so that no target keeps a worker for itself."""
    if scheduling.carry_slice(int(run)):
        ring(CARRY, run)


@shared_task
def forget() -> int:
    """Delete runs, plans and drifts past their retention. Returns how many."""
    return forgetting.forget_ended(now=timezone.now())
