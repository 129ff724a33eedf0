"""How the book of events stands: its last seal, and the tail that no seal covers yet."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.events.models import Event, Seal

SEAL_LATE = timedelta(minutes=5)
"""From this age of the tail on, sealing has stopped rather than is about to happen."""


@dataclass(frozen=True, slots=True)
class BookState:
    """`tail` counts the events after the last seal, `tail_since` is the oldest of them."""

    sealed_at: datetime | None
    tail: int
    tail_since: datetime | None

    @property
    def is_empty(self) -> bool:
        return self.sealed_at is None and self.tail == 0

    def is_late(self, *, now: datetime) -> bool:
        return self.tail_since is not None and now - self.tail_since > SEAL_LATE


def read_book() -> BookState:
    """Three cheap queries. Late arrivals in earlier gaps are left to `manage.py verify_events`."""
    seal = Seal.objects.first()
    tail = Event.objects.filter(id__gt=max((last for _, last in seal.ids), default=0) if seal else 0)
    oldest = tail.order_by("id").values_list("at", flat=True).first()
    return BookState(seal.at if seal else None, tail.count(), oldest)
