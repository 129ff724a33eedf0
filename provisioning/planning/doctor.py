"""What the doctor asks of plans and reconciliations."""

from django.db.models import Count
from django.utils import timezone

from broker.findings import Finding
from provisioning.outbound.models import Hold, Target
from provisioning.planning.models import Drift, Run
from provisioning.planning.scheduling import interval_of, last_began

NAME = "reconciliation"
OVERDUE = 2
"""Intervals after which a reconciliation that did not begin is a fault."""


def check_reconciliations() -> list[Finding]:
    """Every target in use is read wholly and in time, no account is unexplained there, and no hold is forgotten."""
    targets = list(Target.objects.filter(enabled=True, retired_at=None).order_by("slug"))
    findings = [finding for target in targets for finding in _about(target)]
    for hold in Hold.objects.filter(state__in=(Hold.State.OPEN, Hold.State.ASKED)).select_related("target"):
        text = f"{hold.count} disables and deletions at {hold.target.slug} wait for a second operator"
        findings.append(Finding(NAME, "warning", text, "Look at Holds in the console: release or refuse them."))
    drifts = Drift.objects.filter(repaired_at=None, target__in=targets).values_list("target__slug", "kind")
    for slug, kind, number in drifts.annotate(number=Count("pk")).order_by("target__slug", "kind"):
        text = f"{number} {kind} at {slug}"
        findings.append(Finding(NAME, "warning", text, "Look at Drift in the console."))
    return findings or [Finding(NAME, "ok", f"{len(targets)} targets were read and agree with what should be there")]


def _about(target: Target) -> list[Finding]:
    began = last_began(target)
    if began is None:
        text = f"{target.slug} was never reconciled"
        return [Finding(NAME, "warning", text, f"Run manage.py provision --reconcile --target {target.slug}.")]
    late = timezone.now() - began
    if late > OVERDUE * interval_of(target):
        text = f"{target.slug} was last reconciled {late.days} days ago"
        return [Finding(NAME, "fault", text, "Look whether the scheduler and a worker run.")]
    last = Run.objects.filter(target=target, purpose=Run.Purpose.RECONCILE).exclude(ended_at=None).first()
    if last is not None and last.outcome in (Run.Outcome.INCOMPLETE, Run.Outcome.NOTHING_CHECKED):
        text = f"the last reconciliation of {target.slug} compared nothing: {last.code or 'nothing is there'}"
        return [Finding(NAME, "fault", text, last.detail or "Look at the run in the console.")]
    return []
