"""A desk or a gate for each test, and a key ring that does not outlive its database."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from broker import limits
from broker.keys.ring import ring
from tests.broker.tokens.desk import Desk
from tests.broker.tokens.gate import Gate


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    yield Desk()
    ring.forget()


@pytest.fixture
def gate(db: None) -> Iterator[Gate]:
    yield Gate()
    ring.forget()


@pytest.fixture
def still_memories(monkeypatch: pytest.MonkeyPatch) -> None:
    """No poll falls into a test that counts queries, however slow the machine is."""
    for interval in ("REGISTRY_POLL_INTERVAL", "KEY_POLL_INTERVAL"):
        monkeypatch.setattr(limits, interval, timedelta(hours=1))
