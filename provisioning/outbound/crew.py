"""Threads that talk to a target while the carrier alone writes to the database.

A job runs in one of the threads. When it has to know something of the database it asks the carrier, which answers
between two results; so no thread ever holds a connection to the database.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from provisioning.outbound.pace import Pace

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")
AnswerT = TypeVar("AnswerT")
Ask = Callable[[Callable[[], Any]], Any]
"""Has the carrier call it, and returns or raises what came of it."""


class Ended(Exception):
    """The carrier broke off: whoever waits for its answer ends too."""


class Crew(Generic[JobT, ResultT]):
    """Works through jobs with at most `size` threads; none begins another job once `is_over()`.

    `pace` may let fewer of them work at once.
    """

    def __init__(
        self, size: int, work: Callable[[JobT, Ask], ResultT], *, is_over: Callable[[], bool], pace: Pace
    ) -> None:
        self._size = size
        self._work = work
        self._is_over = is_over
        self._pace = pace
        self._said: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        self._has_ended = threading.Event()

    def results(self, jobs: Iterable[JobT]) -> Iterator[ResultT]:
        """What became of each job that was begun, in the order in which they ended. `work` raises nothing."""
        left = deque(jobs)
        threads = [
            threading.Thread(target=self._run, args=(left,), name=f"crew-{number}", daemon=True)
            for number in range(min(self._size, len(left)))
        ]
        running = len(threads)
        for thread in threads:
            thread.start()
        try:
            while running:
                said = self._said.get()()
                if isinstance(said, _Result):
                    yield said.value
                elif said is _GONE:
                    running -= 1
        finally:
            # Whatever breaks off here, no thread talks on afterwards: exchanges end at their deadline.
            self._has_ended.set()
            left.clear()
            while running:
                running -= self._drain()
            for thread in threads:
                thread.join()

    def _drain(self) -> int:
        said = self._said.get()
        if isinstance(said, _Question):
            said.refuse()
            return 0
        return int(said() is _GONE)

    def _run(self, left: deque[JobT]) -> None:
        try:
            while True:
                with self._pace.place(is_over=self._has_no_more):
                    if self._has_no_more():
                        return
                    try:
                        job = left.popleft()
                    except IndexError:
                        return
                    result = _Result(self._work(job, self._ask))
                self._said.put(lambda kept=result: kept)  # type: ignore[misc]  # mypy does not type a lambda's default
        except Ended:
            return
        finally:
            self._said.put(lambda: _GONE)

    def _has_no_more(self) -> bool:
        return self._has_ended.is_set() or self._is_over()

    def _ask(self, question: Callable[[], AnswerT]) -> AnswerT:
        asked = _Question(question)
        if self._has_ended.is_set():
            raise Ended
        self._said.put(asked)
        return asked.wait()  # type: ignore[no-any-return]  # it is what the question returns


_GONE = object()


class _Result(Generic[ResultT]):
    def __init__(self, value: ResultT) -> None:
        self.value = value


class _Question:
    """Called by the carrier; `wait` hands over what came of it."""

    def __init__(self, question: Callable[[], Any]) -> None:
        self._question = question
        self._is_answered = threading.Event()
        self._answer: Any = None
        self._error: Exception | None = None

    def __call__(self) -> None:
        try:
            self._answer = self._question()
        except Exception as error:  # noqa: BLE001 - handed over to whoever asked
            self._error = error
        self._is_answered.set()

    def refuse(self) -> None:
        self._error = Ended()
        self._is_answered.set()

    def wait(self) -> Any:
        self._is_answered.wait()
        if self._error is not None:
            raise self._error
        return self._answer
