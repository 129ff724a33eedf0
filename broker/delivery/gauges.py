"""What the ledger shows at a scrape: how much waits, since when, and which lanes take nothing."""

from collections.abc import Iterable

from django.db.models import Count
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from broker.delivery.models import Lane
from broker.delivery.progress import standing


def read_gauges() -> Iterable[Metric]:
    """Two queries: over what is not settled with what was in the last day, and over the lanes."""
    now = timezone.now()
    found = standing(now)
    rows = GaugeMetricFamily(
        "countersign_deliveries",
        "Deliveries by what became of them; confirmed and skipped ones of the last 24 hours",
        labels=["state"],
    )
    for state in ("confirmed", "skipped", "dead", "waiting", "held", "late"):
        rows.add_metric([state], getattr(found, state))
    lanes = GaugeMetricFamily("countersign_lanes", "Lanes of deliveries, by state", labels=["state"])
    counted = dict(Lane.objects.order_by().values_list("state").annotate(Count("pk")))
    for lane_state in Lane.State.values:
        lanes.add_metric([lane_state], counted.get(lane_state, 0))
    yield from (rows, lanes)
    yield GaugeMetricFamily(
        "countersign_delivery_wait_seconds",
        "How long the delivery that has been due longest waits for its attempt",
        (now - found.due_since).total_seconds() if found.due_since else 0,
    )
