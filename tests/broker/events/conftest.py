"""A signer for seals, a log of the test's own, and events to seal."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from broker import limits
from broker.actors import SYSTEM
from broker.events.catalogue import REQUEST_REFUSED
from broker.events.models import Event
from broker.events.services import record
from broker.keys.models import SigningKey
from broker.keys.services import announce_key, rotate


@pytest.fixture
def log(tmp_path: Path, settings: Settings) -> Path:
    """The path of the seal log; nothing is there yet."""
    settings.SEAL_LOG = tmp_path / "seals.log"
    return tmp_path / "seals.log"


@pytest.fixture
def signer(db: None) -> None:
    """An active key for the head of the book."""
    now = timezone.now()
    announce_key(
        SigningKey.Use.TOKEN, algorithm=SigningKey.Algorithm.ES256, now=now - limits.KEY_ANNOUNCE, actor=SYSTEM
    )
    rotate(now=now, actor=SYSTEM)


@pytest.fixture
def write() -> Callable[..., list[Event]]:
    """`write(3)` records three events; `write(at=…, event_id=…)` puts one where a late transaction would put it."""

    def _write(count: int = 1, *, at: datetime | None = None, event_id: int | None = None) -> list[Event]:
        if event_id is not None:
            event = Event.objects.create(id=event_id, at=at or timezone.now(), type="late", severity="notice")
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT setval('events_event_id_seq', (SELECT greatest(1, max(id)) FROM events_event))"
                    )
            return [event]
        return [record(REQUEST_REFUSED, actor=SYSTEM, number=number) for number in range(count)]

    return _write
