"""Readers of the tests: they keep what they were handed."""

from collections.abc import Callable, Sequence

from broker.events.models import Event


class Remembering:
    """A reader that remembers the ids of each reading; `fails` says at which event it fails."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.readings: list[list[int]] = []
        self.fails: Callable[[Event], bool] = lambda event: False
        self.error: BaseException = RuntimeError("no")
        self.wanted: set[str] = set()

    def __call__(self, events: Sequence[Event]) -> None:
        self.readings.append([event.pk for event in events])
        if any(self.fails(event) for event in events):
            raise self.error

    def wants(self, type_name: str) -> bool:
        return type_name in self.wanted


FIRST = Remembering()
SECOND = Remembering()
CHOOSING = Remembering()
