"""How many refusals of one address get rows of their own: a flood of them must not fill the tables.

Above the budget a refusal is answered as ever, counted, and told of in one event a minute.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable

from prometheus_client import Counter as Metric

from broker import limits
from broker.actors import SYSTEM, Actor
from broker.events.catalogue import REFUSALS_COUNTED
from broker.events.services import record
from broker.throttling import Budget, TooMany, throttle

BUDGET = Budget("refusals", limits.REFUSALS_WRITTEN)
COUNTED = Metric("countersign_refusals_counted_total", "Refusals without rows of their own, by code", ["code"])


class CountedRefusals:
    """What this process counted since its last event."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._codes: Counter[str] = Counter()
        self._told_at = float("-inf")

    def add(self, code: str) -> None:
        """Count one, and tell of all when the last event is a minute old. The first of a flood is told at once."""
        COUNTED.labels(code).inc()
        with self._lock:
            self._codes[code] += 1
            now = self._clock()
            if now - self._told_at < limits.REFUSALS_TOLD_INTERVAL.total_seconds():
                return
            self._told_at = now
            codes, self._codes = dict(self._codes), Counter()
        record(REFUSALS_COUNTED, actor=SYSTEM, refusals=sum(codes.values()), codes=codes)

    def forget(self) -> None:
        """Forget what was counted, as a new process would."""
        with self._lock:
            self._codes.clear()
            self._told_at = float("-inf")


counted = CountedRefusals()


def may_be_written(actor: Actor, code: str) -> bool:
    """Whether this refusal gets its event and its trace; otherwise it was counted. It takes a permit of its address."""
    try:
        throttle.spend(BUDGET, actor.address)
    except TooMany:
        counted.add(code)
        return False
    return True
