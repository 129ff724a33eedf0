"""Gauges of drift and of what is held, read at each scrape."""

from collections.abc import Iterable

from django.db.models import Count, Max
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from provisioning.outbound.models import Hold
from provisioning.planning.models import Drift, Run


def read_gauges() -> Iterable[Metric]:
    """Drift that stands, deliveries that wait for a release, and how old each target's last whole reading is."""
    drift = GaugeMetricFamily(
        "countersign_drift", "Differences between targets and what should be there", labels=["target", "kind"]
    )
    standing = Drift.objects.filter(repaired_at=None).values_list("target__slug", "kind").annotate(number=Count("pk"))
    for slug, kind, number in standing.order_by("target__slug", "kind"):
        drift.add_metric([slug, kind], number)
    held = GaugeMetricFamily(
        "countersign_held_closings", "Disables and deletions that wait for a second operator", labels=["target"]
    )
    for hold in Hold.objects.filter(state__in=(Hold.State.OPEN, Hold.State.ASKED)).select_related("target"):
        held.add_metric([hold.target.slug], hold.count)
    age = GaugeMetricFamily(
        "countersign_reconciled_age_seconds", "Since a target was last read wholly and compared", labels=["target"]
    )
    whole = Run.objects.filter(outcome__in=(Run.Outcome.OK, Run.Outcome.DRIFT))
    for slug, last in whole.values_list("target__slug").annotate(last=Max("ended_at")).order_by("target__slug"):
        age.add_metric([slug], (timezone.now() - last).total_seconds())
    return [drift, held, age]
