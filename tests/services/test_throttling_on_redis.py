"""Budgets on a real Redis: shared by two processes, a share for each while it is away, shared again afterwards."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from broker.throttling import STORE_PAUSE, Budget, RedisLeases, Throttle, TooMany
from tests.services.servers import Redis

pytestmark = pytest.mark.services
BUDGET = Budget("suite", 100, 3600)
PROCESS = """
import json, sys
from broker.throttling import Budget, RedisLeases, Throttle, TooMany
throttle = Throttle(RedisLeases(sys.argv[1]), share=lambda: 4, clock=lambda: 1_000_000.0)
print("ready", flush=True)
sys.stdin.readline()
passed = 0
for _ in range(200):
    try:
        throttle.spend(Budget("suite", 100, 3600), sys.argv[2])
        passed += 1
    except TooMany:
        pass
print(json.dumps(passed))
"""


class Clock:
    """Seconds, moved by hand."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as started:
        yield started


def passing(throttle: Throttle, key: str) -> int:
    passed = 0
    for _ in range(200):
        try:
            throttle.spend(BUDGET, key)
        except TooMany:
            continue
        passed += 1
    return passed


def test_two_processes_share_one_budget(redis: Redis) -> None:
    def start() -> Any:
        return subprocess.Popen(
            [sys.executable, "-c", PROCESS, redis.url, "shared"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    both = [start() for _ in range(2)]
    assert [one.stdout.readline() for one in both] == ["ready\n"] * 2
    for one in both:
        one.stdin.write("go\n")
        one.stdin.flush()
    answers = [json.loads(one.communicate(timeout=60)[0]) for one in both]
    assert sum(answers) == BUDGET.permits


def test_threads_of_many_processes_take_no_permit_twice(redis: Redis) -> None:
    leases, start = RedisLeases(redis.url), Barrier(20)

    def lease(_: int) -> int:
        start.wait(timeout=30)
        return leases("many", 7, 100, 60)

    with ThreadPoolExecutor(20) as threads:
        given = list(threads.map(lease, range(20)))
    assert sum(given) == 100


def test_a_process_has_its_share_while_redis_is_away_and_shares_again_when_it_is_back(redis: Redis) -> None:
    clock = Clock()
    throttle = Throttle(RedisLeases(redis.url), share=lambda: 4, clock=clock)
    assert passing(throttle, "before") == BUDGET.permits
    redis.kill()
    try:
        assert passing(throttle, "away") == BUDGET.permits // 4
        assert throttle.is_alone
        assert passing(throttle, "before") == 0, "what was spent stays spent"
    finally:
        redis.start()
    clock.now += STORE_PAUSE
    other = Throttle(RedisLeases(redis.url), share=lambda: 4, clock=clock)
    assert passing(throttle, "back") + passing(other, "back") == BUDGET.permits
    assert not throttle.is_alone


def test_what_is_counted_is_forgotten_after_its_window(redis: Redis) -> None:
    leases = RedisLeases(redis.url)
    leases("short", 1, 10, 30)
    (key,) = leases._redis.keys("*short")
    assert 30 < leases._redis.ttl(key) <= 60
