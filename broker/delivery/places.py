"""Places: how many lanes the threads of one process carry at once, and who is next when all are taken."""

from threading import Lock

WAITING_MAX = 1_000
"""Lanes that are remembered; the sweep finds what is above."""


class Places:
    """So many lanes at once. A lane that finds no place is turned away, and named when a place becomes free."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._lock = Lock()
        self.forget()

    def forget(self) -> None:
        """As in a new process: every place is free, nobody waits."""
        self._free = self._number
        self._waiting: dict[str, None] = {}

    def take(self, lane: str) -> bool:
        """Whether there was a place."""
        with self._lock:
            if self._free:
                self._free -= 1
                self._waiting.pop(lane, None)
                return True
            if len(self._waiting) < WAITING_MAX:
                self._waiting[lane] = None
            return False

    def give_back(self) -> str | None:
        """Give a place back. Returns the lane that has waited longest, None when nobody waits."""
        with self._lock:
            self._free += 1
            lane = next(iter(self._waiting), None)
            if lane is not None:
                del self._waiting[lane]
            return lane
