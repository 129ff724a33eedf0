"""Retention: runs, plans and drifts that ended hold people's values and are deleted after limits.PLAN_RETENTION."""

from datetime import datetime

from django.db.models import Q, QuerySet

from broker import limits
from provisioning.planning.models import Drift, Found, FoundGroup, Operation, Plan, Run

RUNS_AT_ONCE = 100


def forget_ended(*, now: datetime) -> int:
    """Delete what ended long ago, and what a run left on the stage. Returns how many runs and drifts were deleted."""
    for staged in (Found, FoundGroup):
        _ended(staged.objects.all()).delete()
    before = now - limits.PLAN_RETENTION
    old = Run.objects.filter(ended_at__lt=before).exclude(_is_waited_for()).order_by("pk")
    ids = list(old.values_list("pk", flat=True)[:RUNS_AT_ONCE])
    Operation.objects.filter(plan__run__in=ids).delete()
    Plan.objects.filter(run__in=ids).delete()
    Run.objects.filter(pk__in=ids).delete()
    drifts, _ = Drift.objects.filter(repaired_at__lt=before).delete()
    return len(ids) + drifts


def _ended(staged: QuerySet[Found] | QuerySet[FoundGroup]) -> QuerySet[Found] | QuerySet[FoundGroup]:
    return staged.filter(run__in=Run.objects.exclude(ended_at=None))


def _is_waited_for() -> Q:
    """Plans of which something still waits for a second operator."""
    return Q(plan__operations__state=Operation.State.HELD)
