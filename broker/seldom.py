"""What a process need not do each time: it remembers when it last did it, of each thing."""

import threading
from collections import OrderedDict
from datetime import datetime, timedelta

REMEMBERED = 10_000


class Seldom:
    """Says whether a thing is due, at most once in the interval that is given; of the most recent `REMEMBERED`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done: OrderedDict[int, datetime] = OrderedDict()

    def is_due(self, key: int, *, interval: timedelta, now: datetime) -> bool:
        """Whether it was not done within `interval`; then it counts as done now."""
        with self._lock:
            done = self._done.get(key)
            if done is not None and now - done < interval:
                return False
            self._done[key] = now
            self._done.move_to_end(key)
            if len(self._done) > REMEMBERED:
                self._done.popitem(last=False)
            return True

    def forget(self) -> None:
        """Forget what was done, as a new process would."""
        with self._lock:
            self._done.clear()
