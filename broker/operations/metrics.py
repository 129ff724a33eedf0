"""Prometheus metrics: counters of this process (or of all, see below) and gauges that are read at each scrape.

With several web processes, PROMETHEUS_MULTIPROC_DIR names an empty folder that they share: counters are then summed.
"""

import os
from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from broker.operations.gauges import read_gauges

CONTENT_TYPE = CONTENT_TYPE_LATEST


class GaugeCollector(Collector):
    """What is read from the database at the time of the scrape."""

    def collect(self) -> Iterable[Metric]:
        return read_gauges()


def write_metrics() -> bytes:
    """The whole page."""
    gauges = CollectorRegistry()
    gauges.register(GaugeCollector())
    counters: CollectorRegistry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        counters = CollectorRegistry()
        MultiProcessCollector(counters)
    return generate_latest(counters) + generate_latest(gauges)
