"""A process-wide memory of parties that follows the registry's version row.

A change of a party is seen by every worker within `limits.REGISTRY_POLL_INTERVAL`: the version row is read at most
that often, and when it moved, everything is forgotten. While the database is away, what is remembered still stands:
our metadata is served from it, and nothing can be issued from it.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from django.db import InterfaceError, OperationalError, connection
from django.db.models import F

from broker import limits
from broker.registry.models import RegistryVersion
from broker.statements import Read

T = TypeVar("T")
ENTRIES_MAX = 10_000


class PartyCache:
    """Remembers what loaders return, misses (None) included, for as long as the version stands."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()
        self._version: int | None = None
        self._checked_at = float("-inf")

    def get(self, key: Hashable, load: Callable[[], T]) -> T:
        """The remembered value of `key`, else what `load` returns."""
        self._follow_version()
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return cast(T, self._entries[key])
            version = self._version
        value = load()
        with self._lock:
            if version == self._version:
                self._entries[key] = value
                if len(self._entries) > ENTRIES_MAX:
                    self._entries.popitem(last=False)
        return value

    def follow(self, version: int) -> None:
        """Take note of the registry's version, which the caller read with its own question: nothing older is used now.

        So what a request finds in the memory is as new as what it found in the database.
        """
        with self._lock:
            self._checked_at = self._clock()
            if version != self._version:
                self._entries.clear()
                self._version = version

    def catch_up(self) -> None:
        """Read the registry's version: what is found in the memory from here on is not older than this moment."""
        (version,) = _VERSION.first() or (0,)
        self.follow(version)

    def forget(self) -> None:
        """Forget everything, and ask for the version at the next use."""
        with self._lock:
            self._entries.clear()
            self._version = None
            self._checked_at = float("-inf")

    def _follow_version(self) -> None:
        now = self._clock()
        if now - self._checked_at < limits.REGISTRY_POLL_INTERVAL.total_seconds():
            return
        try:
            (version,) = _VERSION.first() or (0,)
        except (InterfaceError, OperationalError):
            if self._version is None or connection.in_atomic_block:
                raise
            self._checked_at = now
            return
        self.follow(version)


_VERSION = Read[tuple[int]](lambda: RegistryVersion.objects.filter(pk=1).order_by().values_list("number"))
parties = PartyCache()


def raise_version() -> None:
    """Call in the transaction of every change of a party: the other workers' memories end with it."""
    if not RegistryVersion.objects.filter(pk=1).update(number=F("number") + 1):
        RegistryVersion.objects.create(pk=1, number=1)
    parties.forget()
