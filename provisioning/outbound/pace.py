"""How much at once a target takes, learned from the exchanges that it told to wait (429, RFC 6585 section 4).

A short wait is waited where the exchange stands, so that what was asked before is not asked again; and fewer are begun
at once, so that whoever is urgent has few before them. What a process learned of a target it keeps.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import inf

from broker import limits

THROTTLED = 429
LOOK_SECONDS = 0.1


class Pace:
    """Of one target. Many threads at once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._places = inf
        self._taken = 0
        self._good = 0
        self._resume_at = 0.0

    @contextmanager
    def place(self, *, is_over: Callable[[], bool]) -> Iterator[None]:
        """For one job, from its first exchange to its last. Waits until there is one, or `is_over()`."""
        with self._changed:
            while self._taken >= self._places and not is_over():
                self._changed.wait(LOOK_SECONDS)
            self._taken += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify()

    def rest(self) -> None:
        """Before each exchange: as long as the target asked for."""
        while (left := self._resume_at - time.monotonic()) > 0:
            time.sleep(left)

    def note(self, status: int, headers: Mapping[str, str]) -> bool:
        """Learn from an answer. True: the target wants it asked again after a wait that is short enough for `rest`."""
        if status != THROTTLED:
            with self._changed:
                self._good += 1
                if self._good > self._places * limits.TARGET_PACE_GOOD:
                    self._good, self._places = 0, self._places + 1
            return False
        asked = headers.get("retry-after", "").strip()
        is_short = asked.isascii() and asked.isdecimal() and int(asked) <= limits.TARGET_PATIENCE.total_seconds()
        with self._changed:
            now = time.monotonic()
            if now >= self._resume_at:  # of those that were under way together, one tells all
                self._places, self._good = max(1, min(self._places, self._taken) // 2), 0
            if is_short:
                self._resume_at = max(self._resume_at, now + int(asked))
        return is_short


_paces: dict[int, Pace] = {}
_lock = threading.Lock()


def pace_of(target_id: int) -> Pace:
    """The same one for all of this process."""
    with _lock:
        return _paces.setdefault(target_id, Pace())


def forget_paces() -> None:
    """Know nothing of any target, as a new process would."""
    with _lock:
        _paces.clear()
