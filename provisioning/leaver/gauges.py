"""What leavers show at a scrape: cases by their state, and how long the oldest red one has been red."""

from collections.abc import Iterable

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from provisioning.leaver.models import Case, Item


def read_gauges() -> Iterable[Metric]:
    """Three small queries over the live cases."""
    live = Case.objects.filter(closed_at=None).order_by()
    cases = GaugeMetricFamily("countersign_leaver_cases", "Leavers' cases that are watched, by state", labels=["state"])
    counted = dict(live.values_list("state").annotate(Count("pk")))
    for state in Case.State.values:
        cases.add_metric([state], counted.get(state, 0))
    items = GaugeMetricFamily(
        "countersign_leaver_open_items", "Items of leavers that are open, by kind", labels=["kind"]
    )
    of_live = Item.objects.filter(case__closed_at=None, state=Item.State.OPEN).order_by()
    for kind, count in of_live.values_list("kind").annotate(Count("pk")):
        items.add_metric([kind], count)
    since = live.filter(state__in=Case.RED).aggregate(since=Min("state_since"))["since"]
    age = (timezone.now() - since).total_seconds() if since else 0
    yield from (cases, items)
    yield GaugeMetricFamily("countersign_leaver_red_seconds", "How long the oldest red case has been red", age)
