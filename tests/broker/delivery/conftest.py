"""Two kinds of deliveries of the tests' own."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from broker.delivery import backoff
from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console
from tests.broker.delivery.handlers import HANDLER, OTHER, Scripted

__all__ = ["console", "make_operator", "sign_in", "viewer_console"]


@pytest.fixture(autouse=True)
def _longest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is to be retried is not due again within the same turn, however slow the machine."""
    monkeypatch.setattr(backoff, "random", SimpleNamespace(random=lambda: 1.0))


@pytest.fixture(autouse=True)
def _kinds(settings: Any) -> Iterator[None]:
    settings.DELIVERY_HANDLERS = {
        "letter": "tests.broker.delivery.handlers.HANDLER",
        "parcel": "tests.broker.delivery.handlers.OTHER",
    }
    settings.EVENT_READERS = {}
    HANDLER.reset()
    OTHER.reset()
    yield
    HANDLER.reset()
    OTHER.reset()


@pytest.fixture
def handler() -> Scripted:
    return HANDLER


@pytest.fixture
def other() -> Scripted:
    return OTHER
