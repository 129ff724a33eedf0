"""Targets, people and workers on the suite's own PostgreSQL, for the tests of single faults."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from broker import limits
from tests.factories import make_keys
from tests.faults.floor import Floor, Start
from tests.faults.world import World

LIMITS = {
    "DELIVERY_BACKOFF": 0.2,
    "DELIVERY_BACKOFF_MAX": 2.0,
    "LANE_PAUSE": 0.5,
    "LANE_PAUSE_MAX": 2.0,
    "BREAKER_SMALLEST": 10**6,
}
BEAT = {"sweep-deliveries": 0.4, "read-notices": 0.4}


@pytest.fixture(scope="session")
def start(django_db_setup: None) -> Iterator[Start]:
    """The processes that all tests share. The queue of this process is eager: workers hear of work by the schedule."""
    assert connection.vendor == "postgresql", "these tests want the PostgreSQL of make test-faults"
    where = connection.settings_dict
    environment = {
        "BROKER_DATABASE_URL": f"postgresql://{where['USER']}@{where['HOST']}:{where['PORT']}/{where['NAME']}",
        "BROKER_SECRET_KEY": os.environ["BROKER_SECRET_KEY"],
        "BROKER_MASTER_KEYS": os.environ["BROKER_MASTER_KEYS"],
    }
    with (
        tempfile.TemporaryDirectory(prefix="countersign-faults-") as folder,
        World(Path(folder), limits=LIMITS, beat=BEAT, environment=environment) as world,
    ):
        yield Start(world)


@pytest.fixture
def floor(
    start: Start, transactional_db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Floor]:
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    monkeypatch.setattr(limits, "BREAKER_SMALLEST", LIMITS["BREAKER_SMALLEST"])
    start.world.empty_redis()  # of what the last test's schedule left
    make_keys()  # without them the web server is not ready, and nothing is sealed
    with ExitStack() as exits:
        exits.callback(start.end_lives)
        yield Floor(tmp_path, exits, start)
