"""What the readers of events show at a scrape: how much is unread, since when, and at how much they fail."""

from collections.abc import Iterable

from django.db.models import Count, Min, Q
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from broker.events.models import Notice


def read_gauges() -> Iterable[Metric]:
    """One query over what is unread."""
    found = Notice.objects.aggregate(
        all=Count("pk"), failing=Count("pk", filter=Q(attempts__gt=0)), since=Min("created_at", filter=Q(attempts=0))
    )
    age = (timezone.now() - found["since"]).total_seconds() if found["since"] else 0
    yield GaugeMetricFamily("countersign_notices", "Events that wait for a reader, by reader and event", found["all"])
    yield GaugeMetricFamily("countersign_notices_failing", "Those of them at which a reader failed", found["failing"])
    yield GaugeMetricFamily("countersign_notice_wait_seconds", "How long the oldest has waited to be read", age)
