"""Two operators, and a schema with records in it."""

import pytest

from tests.broker.access import house
from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console

__all__ = ["console", "make_operator", "settled", "sign_in", "viewer_console"]


@pytest.fixture
def settled(db):
    """The operators and the words of the tests' policies."""
    house.settle()
