"""What every test has: memories that start empty."""

from collections.abc import Iterator

import pytest

from broker.registry.cache import parties


@pytest.fixture(autouse=True)
def _fresh_memories() -> Iterator[None]:
    parties.forget()
    yield
    parties.forget()
