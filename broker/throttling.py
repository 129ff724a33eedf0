"""How often somebody may ask: budgets per window, shared by all processes, and never unlimited.

A process takes permits from the shared store (Redis) in leases of a part of the budget and spends them from memory,
so that most requests ask nobody. While the store is away, or where there is none, each process spends its share of
the budget alone. Windows are fixed: across the edge of two of them up to twice the budget may pass.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import redis
import structlog
from django.conf import settings
from prometheus_client import Counter

from broker import limits
from broker.errors import BrokerError

log = structlog.get_logger(__name__)
ENTRIES_MAX = 50_000
LEASE_PART = 10
"""A lease is the budget divided by this."""
ENLARGED_AT_MOST = 2
"""How often one request asks for more: a second time when its window ended while it asked."""
STORE_PAUSE = 5.0
"""Seconds for which a store that did not answer is left alone: no request waits for it twice."""
STORE_SECONDS = 0.25
REFUSED = Counter("countersign_throttled_total", "Requests refused because a budget was spent, by budget", ["budget"])


@dataclass(frozen=True, slots=True)
class Budget:
    """So many permits in each window of so many seconds, for each key of its kind."""

    name: str
    permits: int
    seconds: int = limits.THROTTLE_WINDOW_SECONDS


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a budget: `remaining` permits that this process knows of, until `resets_in` seconds from now."""

    budget: Budget
    remaining: int
    resets_in: int

    def headers(self) -> dict[str, str]:
        """RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers)."""
        name = self.budget.name
        return {
            "RateLimit-Policy": f'"{name}";q={self.budget.permits};w={self.budget.seconds}',
            "RateLimit": f'"{name}";r={self.remaining};t={self.resets_in}',
        }


class TooMany(BrokerError):
    """A budget is spent. `left` says for how long."""

    def __init__(self, left: Left) -> None:
        expected = f"at most {left.budget.permits} in {left.budget.seconds} s"
        super().__init__("request.too_many", detail=left.budget.name, expected=expected, actual="more")
        self.left = left


@dataclass(slots=True)
class _Window:
    number: int
    leased: int = 0
    spent: int = 0
    is_exhausted: bool = False
    """Whether nobody gives this process more permits for this window."""


class Throttle:
    """The budgets as one process sees them. `lease` asks the store for permits of a window and returns how many it
    gave; it raises redis.RedisError when the store is away. None stands for no store.
    """

    def __init__(
        self,
        lease: Callable[[str, int, int, int], int] | None,
        *,
        share: Callable[[], int],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lease = lease
        self._share = share
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: OrderedDict[tuple[str, str], _Window] = OrderedDict()
        self._alone_until = 0.0

    @property
    def is_alone(self) -> bool:
        """Whether this process counts by itself just now."""
        return self._lease is None or self._clock() < self._alone_until

    def spend(self, budget: Budget, key: str) -> Left:
        """Take one permit for `key`. Raises TooMany when none is left in this window."""
        left = self._take(budget, key)
        for _ in range(ENLARGED_AT_MOST):
            if left is not None:
                return left
            # Also where it gave nothing: another thread may have enlarged the budget at the same moment. And what was
            # given may be of a window that ended meanwhile.
            self._enlarge(budget, key)
            left = self._take(budget, key)
        if left is None:
            raise self._refused(budget)
        return left

    def is_spent(self, budget: Budget, key: str) -> bool:
        """Whether nothing is left for `key`, as far as this process knows. Takes nothing, and asks nobody."""
        with self._lock:
            window = self._windows.get((budget.name, key))
            return (
                window is not None
                and window.number == self._number(budget)
                and window.spent >= window.leased
                and window.is_exhausted
            )

    def forget(self) -> None:
        """Forget what was spent, as a new process would."""
        with self._lock:
            self._windows.clear()
            self._alone_until = 0.0

    def _refused(self, budget: Budget) -> TooMany:
        REFUSED.labels(budget.name).inc()
        return TooMany(Left(budget, 0, self._resets_in(budget)))

    def _take(self, budget: Budget, key: str) -> Left | None:
        with self._lock:
            window = self._window(budget, key)
            if window.spent >= window.leased:
                return None
            window.spent += 1
            return Left(budget, window.leased - window.spent, self._resets_in(budget))

    def _enlarge(self, budget: Budget, key: str) -> None:
        """Get this process more permits for the window, if there are any. No lock is held meanwhile."""
        with self._lock:
            window = self._window(budget, key)
            if window.is_exhausted:
                return
        size = max(1, budget.permits // LEASE_PART)
        given = self._ask_store(f"throttle:{budget.name}:{window.number}:{key}", size, budget)
        with self._lock:
            if given is None:
                given = max(0, max(1, budget.permits // self._share()) - window.leased)
                window.is_exhausted = True
            else:
                window.is_exhausted = given < size
            window.leased += given

    def _ask_store(self, name: str, size: int, budget: Budget) -> int | None:
        """What the store gives; None while there is none to ask."""
        if self._lease is None or self.is_alone:
            return None
        try:
            return self._lease(name, size, budget.permits, budget.seconds)
        except redis.RedisError as error:
            log.warning("throttle alone", error=type(error).__name__)
            self._alone_until = self._clock() + STORE_PAUSE
            return None

    def _window(self, budget: Budget, key: str) -> _Window:
        number = self._number(budget)
        window = self._windows.get((budget.name, key))
        if window is None or window.number != number:
            window = self._windows[(budget.name, key)] = _Window(number)
        self._windows.move_to_end((budget.name, key))
        if len(self._windows) > ENTRIES_MAX:
            self._windows.popitem(last=False)
        return window

    def _number(self, budget: Budget) -> int:
        return int(self._clock() // budget.seconds)

    def _resets_in(self, budget: Budget) -> int:
        return math.ceil((self._number(budget) + 1) * budget.seconds - self._clock())


class RedisLeases:
    """Permits in Redis: one counter for each window and key, which ends with its window."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=STORE_SECONDS, socket_connect_timeout=STORE_SECONDS, retry_on_timeout=False
        )

    def ping(self) -> None:
        """Raises redis.RedisError when the store is away."""
        self._redis.ping()

    def __call__(self, name: str, size: int, permits: int, seconds: int) -> int:
        """How many of `size` permits are given. Raises redis.RedisError."""
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.incrby(name, size)
            pipeline.expire(name, 2 * seconds)
            total = int(pipeline.execute()[0])
        return max(0, min(size, permits - (total - size)))


def _make_throttle() -> Throttle:
    lease = RedisLeases(settings.REDIS_URL) if settings.REDIS_URL else None
    return Throttle(lease, share=lambda: settings.THROTTLE_PROCESSES)


throttle = _make_throttle()
