"""What every test has: memories that start empty."""

import uuid
from collections.abc import Iterator

import pytest

from broker.keys.ring import ring
from broker.registry.cache import parties
from broker.registry.credential_uses import credential_memory
from broker.registry.flow_evidence import evidence
from broker.registry.flow_use import uses
from broker.throttling import RedisLeases, throttle
from broker.traces.bounded import counted
from tests.flush import let_flushes_pass


@pytest.fixture(autouse=True)
def _fresh_memories() -> Iterator[None]:
    for memory in (parties, ring, evidence, uses, throttle, counted):
        memory.forget()
    yield
    for memory in (parties, ring, evidence, uses, throttle, counted):
        memory.forget()


@pytest.fixture(autouse=True)
def _no_uses_of_credentials() -> Iterator[None]:
    credential_memory.forget()
    yield
    credential_memory.forget()


@pytest.fixture(autouse=True)
def _budgets_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests just spent from the same address, in a Redis that they share, is not missing here."""
    spend, prefix = RedisLeases.__call__, uuid.uuid4().hex
    monkeypatch.setattr(RedisLeases, "__call__", lambda self, name, *rest: spend(self, f"{prefix}:{name}", *rest))


@pytest.fixture(autouse=True, scope="session")
def _flushes_pass_the_book() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        let_flushes_pass(patch)
        yield
