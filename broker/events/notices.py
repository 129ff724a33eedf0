"""Notices: which readers have yet to read an event (settings.EVENT_READERS). `reading` lets them.

A notice rather than "the last id read": ids are given out before they commit, so that a bookmark can step over a slow
transaction. Each reader has one turn at a time and reads in order. Events that are written many at once, as those of
issued tokens (`broker.events.grouped`), have no notices.
"""

from collections.abc import Sequence
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from broker.bell import ring
from broker.events.catalogue import NOTICE_FAILED
from broker.events.models import Event, Notice

EVERY_TYPE = "*"
TASK = "broker.events.tasks.read_notices"


class Reader(Protocol):
    """Reads events, at most `limits.NOTICES_PER_READING` at once, oldest first.

    Runs in the transaction that deletes their notices: quick, without network, and idempotent, since an event may come
    again. One that is named for every type ("*") has `wants` besides, asked at each event that is recorded.
    """

    def __call__(self, events: Sequence[Event], /) -> None: ...


class ChoosingReader(Reader, Protocol):
    def wants(self, type_name: str) -> bool:
        """Whether to be told of events of this type. Costs no query."""


def readers_of(type_name: str) -> list[str]:
    """The dotted names of those who read events of this type."""
    if type_name == NOTICE_FAILED.name:
        return []  # A reader that fails at everything would fail at this without end.
    names = list(settings.EVENT_READERS.get(type_name, ()))
    for name in settings.EVENT_READERS.get(EVERY_TYPE, ()):
        reader: ChoosingReader = import_string(name)
        if reader.wants(type_name):
            names.append(name)
    return names


def all_readers() -> list[str]:
    """Every reader that settings name, once."""
    return list(dict.fromkeys(name for names in settings.EVENT_READERS.values() for name in names))


def write_notices(event: Event) -> None:
    """A notice of `event` for each of its readers, in this transaction, and the bell after it."""
    names = readers_of(event.type)
    if not names:
        return
    Notice.objects.bulk_create(
        [Notice(event=event, reader=name, created_at=event.at, due_at=event.at) for name in names]
    )
    ring(TASK)
