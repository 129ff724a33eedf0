"""Budgets of requests: shared where there is a store, a share where there is none, and never unlimited."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from broker.throttling import ENTRIES_MAX, STORE_PAUSE, Budget, Throttle, TooMany

BUDGET = Budget("token", 40, 10)


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Store:
    """Leases as the shared store gives them, to any number of processes; it can be away."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self.asked = 0
        self.is_away = False

    def __call__(self, name: str, size: int, permits: int, seconds: int) -> int:
        self.asked += 1
        if self.is_away:
            raise redis.ConnectionError
        self.totals[name] += size
        return max(0, min(size, permits - (self.totals[name] - size)))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Store:
    return Store()


def passing(throttle: Throttle, key: str = "client", attempts: int = 200, budget: Budget = BUDGET) -> int:
    """How many of so many requests pass."""
    passed = 0
    for _ in range(attempts):
        try:
            throttle.spend(budget, key)
        except TooMany:
            continue
        passed += 1
    return passed


def test_the_budget_passes_and_no_more(clock, store):
    assert passing(Throttle(store, share=lambda: 4, clock=clock)) == 40


def test_processes_share_one_budget(clock, store):
    processes = [Throttle(store, share=lambda: 4, clock=clock) for _ in range(3)]
    assert sum(passing(one) for one in processes) == 40


def test_most_requests_ask_nobody(clock, store):
    passing(Throttle(store, share=lambda: 4, clock=clock), attempts=40)
    assert store.asked == 10
    passing(Throttle(store, share=lambda: 4, clock=clock), attempts=1000)
    assert store.asked == 11, "an exhausted budget is not asked for again"


def test_each_key_and_each_budget_has_its_own(clock, store):
    throttle = Throttle(store, share=lambda: 4, clock=clock)
    passing(throttle, "a loud one")
    assert passing(throttle, "another") == 40
    assert passing(throttle, "a loud one", budget=Budget("introspection", 7, 10)) == 7


def test_a_new_window_begins_anew(clock, store):
    throttle = Throttle(store, share=lambda: 4, clock=clock)
    passing(throttle)
    clock.now += 9.9
    assert passing(throttle) == 0
    clock.now += 0.1
    assert passing(throttle) == 40


def test_a_window_that_ends_while_the_store_is_asked_refuses_nobody(clock, store):
    def slow(name: str, size: int, permits: int, seconds: int) -> int:
        given = store(name, size, permits, seconds)
        if store.asked == 1:
            clock.now += 0.2
        return given

    clock.now += 9.9
    Throttle(slow, share=lambda: 4, clock=clock).spend(BUDGET, "client")
    assert store.asked == 2


@pytest.mark.parametrize("has_store", [True, False])
def test_without_the_store_each_process_has_its_share(clock, store, has_store):
    store.is_away = True
    throttle = Throttle(store if has_store else None, share=lambda: 4, clock=clock)
    assert passing(throttle) == 10
    assert throttle.is_alone


def test_a_share_is_never_nothing(clock):
    assert passing(Throttle(None, share=lambda: 1000, clock=clock)) == 1


def test_a_store_that_is_away_is_asked_once_in_a_while(clock, store):
    store.is_away = True
    throttle = Throttle(store, share=lambda: 4, clock=clock)
    for key in range(50):
        passing(throttle, str(key), attempts=3)
    assert store.asked == 1
    clock.now += STORE_PAUSE
    store.is_away = False
    assert passing(throttle, "new") == 40
    assert not throttle.is_alone


def test_a_store_that_goes_away_in_the_middle_gives_nobody_more_than_the_budget(clock, store):
    throttle = Throttle(store, share=lambda: 4, clock=clock)
    passing(throttle, attempts=37)
    store.is_away = True
    assert passing(throttle) <= 3


def test_what_is_left_is_told(clock, store):
    throttle = Throttle(store, share=lambda: 4, clock=clock)
    clock.now += 3
    left = throttle.spend(BUDGET, "client")
    assert left.headers() == {"RateLimit-Policy": '"token";q=40;w=10', "RateLimit": '"token";r=3;t=7'}
    passing(throttle)
    with pytest.raises(TooMany) as refused:
        throttle.spend(BUDGET, "client")
    assert refused.value.code == "request.too_many"
    assert (refused.value.left.remaining, refused.value.left.resets_in) == (0, 7)


def test_looking_whether_a_budget_is_spent_takes_nothing(clock, store):
    throttle = Throttle(store, share=lambda: 4, clock=clock)
    assert not any(throttle.is_spent(BUDGET, "client") for _ in range(100))
    passing(throttle)
    assert throttle.is_spent(BUDGET, "client")
    assert not throttle.is_spent(BUDGET, "another")
    clock.now += 10
    assert not throttle.is_spent(BUDGET, "client")


def test_strangers_do_not_fill_the_memory(clock):
    throttle = Throttle(None, share=lambda: 4, clock=clock)
    for number in range(ENTRIES_MAX + 10):
        throttle.spend(BUDGET, str(number))
    assert len(throttle._windows) == ENTRIES_MAX


def test_threads_spend_one_budget(clock, store):
    throttle = Throttle(store, share=lambda: 4, clock=clock)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: passing(throttle, attempts=25), range(8))) == 40


def test_a_budget_that_another_thread_enlarges_meanwhile_serves_both(clock: Clock) -> None:
    inner: list[int] = []

    def lease(name: str, size: int, permits: int, seconds: int) -> int:
        """The second thread comes while the first one asks, and is given what there is."""
        if inner:
            return size
        inner.append(1)
        throttle.spend(BUDGET, "client")
        return 0

    throttle = Throttle(lease, share=lambda: 1, clock=clock)
    assert throttle.spend(BUDGET, "client")
