"""A desk for each test, and a key ring that does not outlive its database."""

from collections.abc import Iterator

import pytest

from broker.keys.ring import ring
from tests.broker.tokens.desk import Desk


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    yield Desk()
    ring.forget()
