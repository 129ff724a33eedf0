"""The bell: a Celery message after the commit, so that what stands in the database is looked at now.

A message only wakes. One that is lost delays until the scheduler's next sweep, so that nobody ever waits for the
queue: a thread of this process sends, and what it cannot send it forgets.
"""

import atexit
import os
import time
from collections.abc import Callable
from math import inf
from threading import Condition, Thread

import structlog
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from broker import limits

log = structlog.get_logger(__name__)
Call = tuple[str, tuple[str, ...]]
"""The name of a task, and its arguments."""


def ring(task: str, *args: str) -> None:
    """Wake `task` once this transaction is committed, or now where there is none. Returns at once, never raises."""
    transaction.on_commit(lambda: bell.ring((task, args)), robust=True)


def send(call: Call) -> None:
    """Hand the message to the queue. Raises what the queue's transport raises."""
    if settings.CELERY_TASK_ALWAYS_EAGER:
        return  # There is no queue: who wants the task run calls it.
    task, args = call
    import_string(settings.QUEUE_APP).send_task(
        task, args=args, retry=False, ignore_result=True, expires=limits.BELL_LIFETIME.total_seconds()
    )


class Bell:
    """Calls that wait to be sent: the same one at most once per `limits.BELL_INTERVAL`, the last never lost."""

    def __init__(self, send: Callable[[Call], None]) -> None:
        self._send = send
        self.begin_anew()

    def begin_anew(self) -> None:
        """As in a new process: nothing waits, no thread runs."""
        self._changed = Condition()
        self._due: dict[Call, float] = {}
        self._rung: dict[Call, float] = {}
        self._thread: Thread | None = None
        self._is_sending = False

    def ring(self, call: Call) -> None:
        """Let `call` be sent soon; beyond `limits.BELL_CALLS` that wait it is left to the sweep."""
        with self._changed:
            if call in self._due or len(self._due) >= limits.BELL_CALLS:
                return
            now = time.monotonic()
            self._due[call] = max(now, self._rung.get(call, -inf) + limits.BELL_INTERVAL.total_seconds())
            if self._thread is None:
                self._thread = Thread(target=self._run, name="bell", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def finish(self, seconds: float) -> bool:
        """Wait until nothing is left to be sent, at most `seconds`. Returns whether nothing is."""
        until = time.monotonic() + seconds
        with self._changed:
            while self._due or self._is_sending:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _run(self) -> None:
        while True:
            call = self._next()
            try:
                self._send(call)
            except Exception as error:  # noqa: BLE001 - each of the queue's transports has exceptions of its own
                log.warning("the queue cannot be rung", task=call[0], error=type(error).__name__)

    def _next(self) -> Call:
        with self._changed:
            self._is_sending = False
            self._changed.notify_all()
            while True:
                now = time.monotonic()
                call = min(self._due, key=lambda one: self._due[one], default=None)
                if call is not None and self._due[call] <= now:
                    break
                self._changed.wait(self._due[call] - now if call is not None else None)
            del self._due[call]
            horizon = now - limits.BELL_INTERVAL.total_seconds()
            self._rung = {one: at for one, at in self._rung.items() if at > horizon} | {call: now}
            self._is_sending = True
            return call


bell = Bell(send)
# A child of this process has none of its threads.
os.register_at_fork(after_in_child=bell.begin_anew)
# A command that ends at once has rung as well; the queue may be away.
atexit.register(bell.finish, 1.0)
