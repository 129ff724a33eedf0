"""Receivers of the tests: a handler that does what a test tells it to."""

from collections.abc import Callable, Sequence

from broker.delivery.handlers import Settle
from broker.delivery.models import Delivery
from broker.delivery.outcomes import Outcome, confirmed

DIGEST = "d" * 64
Script = Callable[[str, Sequence[Delivery], Settle], None]


class Scripted:
    """Confirms everything, unless `script` says otherwise. `seen` are the ids of each batch, in order."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.batch = 50
        self.script: Script | None = None
        self.seen: list[list[int]] = []

    def deliver(self, lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        self.seen.append([row.pk for row in batch])
        if self.script is not None:
            self.script(lane, batch, settle)
        else:
            settle([(row, confirmed(DIGEST, status=200)) for row in batch])


def answering(outcome: Outcome) -> Script:
    """A receiver that answers everything alike."""
    return lambda _lane, batch, settle: settle([(row, outcome) for row in batch])


HANDLER = Scripted()
OTHER = Scripted()


def script(what: Script) -> None:
    """What the handler of letters does from now on."""
    HANDLER.script = what
