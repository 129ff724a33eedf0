"""What carries one kind of delivery: an object named in settings.DELIVERY_HANDLERS, in the room that knows it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from broker.delivery.models import Delivery
from broker.delivery.outcomes import Outcome


class LeaseLost(Exception):
    """Another carrier has these rows by now; nothing was written. The handler lets it pass."""


class Settle(Protocol):
    """Writes what became of rows of the batch, from any thread."""

    @property
    def is_over(self) -> bool:
        """Whether no further attempt is to be made now, since the lane takes none or the time is up.

        The handler asks before each attempt, and returns: the rest waits uncounted, for another turn.
        """

    def __call__(
        self, outcomes: Sequence[tuple[Delivery, Outcome]], *, within: Callable[[], None] | None = None
    ) -> None:
        """In one transaction with `within()`. Renews the leases of the rest. Raises LeaseLost."""


class Handler(Protocol):
    """Delivers rows of one kind in one lane, at most `batch` at a time."""

    batch: int

    def deliver(self, lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        """Attempt each row, and settle as outcomes come: between two settlements at most `limits.DELIVERY_LEASE`.

        An attempt may have been made before whose end nobody saw: effects are such that once more does no harm. What is
        left unsettled is tried again, likewise when it raises.
        """


def handler_of(kind: str) -> Handler:
    """Raises LookupError for a kind that has none."""
    handler: Handler = import_string(settings.DELIVERY_HANDLERS[kind])
    return handler
