"""Drift and holds on the console's overview."""

from datetime import datetime

from django.db.models import Count, Q

from broker.console.concerns import Concern, Concerns
from provisioning.outbound.models import Hold, Target
from provisioning.planning.models import Drift

HOLDS, DRIFT = "admin:outbound_hold_changelist", "admin:planning_drift_changelist"
TARGETS = "admin:outbound_target_changelist"


def read_concerns(*, now: datetime) -> Concerns:  # noqa: ARG001 - every reader is given the time
    """What differs at targets, what waits for a second operator, and which targets cannot be written to."""
    targets = Target.objects.filter(enabled=True, retired_at=None).aggregate(
        in_use=Count("pk"),
        failed=Count("pk", filter=~Q(probe_problem="")),
        without=Count("pk", filter=Q(credential_sealed="")),
    )
    held = Hold.objects.filter(state__in=(Hold.State.OPEN, Hold.State.ASKED)).count()
    drift = Drift.objects.filter(repaired_at=None).count()
    rows = [
        Concern("Differences at targets", drift, DRIFT, is_bad=True),
        Concern("Holds that wait for a second operator", held, HOLDS, "state__in=open,asked", is_bad=True),
        Concern("Targets whose last probe failed", targets["failed"], TARGETS, is_bad=True),
        Concern("Targets without a credential", targets["without"], TARGETS, is_bad=True),
    ]
    return Concerns(rows, targets["in_use"] + held + drift)
