"""Leavers on the console's overview."""

from datetime import datetime

from django.db.models import Count, Q

from broker.console.concerns import Concern, Concerns
from provisioning.leaver.models import Case

CASES = "admin:leaver_case_changelist"


def read_concerns(*, now: datetime) -> Concerns:  # noqa: ARG001 - every reader is given the time
    """Red cases, and those that are not closed yet. One query."""
    counted = Case.objects.filter(closed_at=None).aggregate(
        red=Count("pk", filter=Q(state__in=Case.RED)),
        open=Count("pk", filter=Q(state=Case.State.OPEN)),
        watched=Count("pk"),
    )
    rows = [
        Concern("Leavers late or reopened", counted["red"], CASES, "standing=red", is_bad=True),
        Concern("Leavers not closed yet", counted["open"], CASES, f"state__exact={Case.State.OPEN}"),
    ]
    return Concerns(rows, counted["watched"])
