"""Gauges: what stands in the database at the moment of a scrape. Few queries, none over a whole table of events."""

from collections.abc import Iterable

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone
from django.utils.module_loading import import_string
from prometheus_client.core import GaugeMetricFamily, Metric

from broker import limits
from broker.console.book import read_book
from broker.console.expiries import list_expiries
from broker.sessions.models import Session


def read_gauges() -> Iterable[Metric]:
    """All gauges. Without a database only the one that says so: the counters of the page are worth having then."""
    try:
        gauges = [_days_left(), _live_sessions(), *_book()]
        gauges += [metric for reader in settings.METRIC_READERS for metric in import_string(reader)()]
    except DatabaseError:
        gauges = []
    answers = GaugeMetricFamily("countersign_database_up", "Whether the database answered this scrape", bool(gauges))
    return [answers, *gauges]


def _days_left() -> Metric:
    now = timezone.now()
    gauge = GaugeMetricFamily(
        "countersign_expiry_days_left",
        "Days until a certificate or secret ends; of several of one owner, the one that ends last",
        labels=["kind", "owner"],
    )
    last = {(expiry.kind, expiry.owner): expiry.days_left(now) for expiry in list_expiries()}
    for (kind, owner), days in last.items():
        gauge.add_metric([kind, owner], days)
    return gauge


def _live_sessions() -> Metric:
    now = timezone.now()
    live = Session.objects.filter(ended_at=None, expires_at__gt=now, last_used_at__gt=now - limits.SESSION_IDLE)
    return GaugeMetricFamily("countersign_sessions_live", "Single sign-on sessions that are alive", live.count())


def _book() -> Iterable[Metric]:
    book = read_book()
    age = (timezone.now() - book.tail_since).total_seconds() if book.tail_since else 0
    yield GaugeMetricFamily("countersign_unsealed_events", "Events after the last seal", book.tail)
    yield GaugeMetricFamily("countersign_unsealed_age_seconds", "Age of the oldest event after the last seal", age)
