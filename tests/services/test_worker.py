"""A Celery worker in a process of its own takes work from a real Redis."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from kombu import Connection

from broker.actors import SYSTEM
from broker.events import catalogue
from broker.events.models import Event, Seal
from broker.events.services import record
from broker.events.tasks import seal_events
from broker.events.verification import verify_book
from broker.keys.services import ensure_keys
from tests.services.broker import ROOT
from tests.services.servers import Redis

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
WAIT_SECONDS = 60
StartWorker = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis() as redis:
        yield redis


@pytest.fixture
def seal_log(tmp_path: Path) -> Path:
    return tmp_path / "seals.log"


@pytest.fixture
def start_worker(redis: Redis, seal_log: Path, tmp_path: Path) -> Iterator[StartWorker]:
    """Starts a worker on this test's database and Redis."""
    started: list[subprocess.Popen[bytes]] = []
    where = connection.settings_dict
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "broker.settings",
        "BROKER_DATABASE_URL": f"postgresql://{where['USER']}@{where['HOST']}:{where['PORT']}/{where['NAME']}",
        "BROKER_REDIS_URL": redis.url,
        "BROKER_SEAL_LOG": str(seal_log),
    }
    command = [sys.executable, "-m", "celery", "-A", "broker.celery:app", "worker", "--loglevel", "info"]

    def start() -> subprocess.Popen[bytes]:
        with (tmp_path / "worker.log").open("ab") as log:
            started.append(
                subprocess.Popen(
                    [*command, "--pool", "threads", "--concurrency", "2"],
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )
        return started[-1]

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.wait(WAIT_SECONDS)


def write(count: int) -> None:
    for number in range(count):
        record(catalogue.KEY_ACTIVATED, actor=SYSTEM, subject=("key", str(number)))


def wait_for_seals(count: int, log: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while sum(Seal.objects.values_list("count", flat=True)) < count:
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
        time.sleep(0.1)


def test_a_worker_wakes_and_seals_the_book(
    start_worker: StartWorker, redis: Redis, seal_log: Path, tmp_path: Path
) -> None:
    ensure_keys(SYSTEM)
    write(5)
    with Connection(redis.url) as queue:
        seal_events.apply_async(connection=queue)
    assert not Seal.objects.exists(), "the task ran in this process"
    start_worker()
    wait_for_seals(Event.objects.count(), tmp_path / "worker.log")
    assert verify_book(seal_log, now=timezone.now()).problems == []


def test_two_workers_that_are_woken_many_times_seal_everything_once(
    start_worker: StartWorker, redis: Redis, seal_log: Path, tmp_path: Path
) -> None:
    ensure_keys(SYSTEM)
    start_worker()
    start_worker()
    with Connection(redis.url) as queue:
        for _ in range(10):
            write(5)
            seal_events.apply_async(connection=queue)
        wait_for_seals(0, tmp_path / "worker.log")
        seal_events.apply_async(connection=queue)
    wait_for_seals(Event.objects.count(), tmp_path / "worker.log")
    assert verify_book(seal_log, now=timezone.now()).problems == []


def test_a_lost_wake_up_only_delays(start_worker: StartWorker, redis: Redis, seal_log: Path, tmp_path: Path) -> None:
    ensure_keys(SYSTEM)
    write(5)
    with Connection(redis.url) as queue:
        seal_events.apply_async(connection=queue)
    redis.kill()
    redis.start()
    start_worker()
    with Connection(redis.url) as queue:
        seal_events.apply_async(connection=queue)
    wait_for_seals(Event.objects.count(), tmp_path / "worker.log")
    assert verify_book(seal_log, now=timezone.now()).problems == []
