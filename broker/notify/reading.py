"""What the book tells this room: each event goes to every webhook that is about it."""

from collections.abc import Sequence

from broker.actors import SYSTEM
from broker.events.models import Event
from broker.notify.models import Subscription
from broker.notify.services import KIND, is_about, send
from broker.registry.cache import parties


class Reader:
    """A reader of `*` (settings.EVENT_READERS), asked before a notice is written whether it wants one."""

    def wants(self, type_name: str) -> bool:
        """Whether a webhook in use is about this type; answered from memory."""
        return any(is_about(one, type_name) for one in _in_use())

    def __call__(self, events: Sequence[Event], /) -> None:
        """Enqueue one delivery for each event and webhook. The notices end in the same transaction: never twice."""
        for subscription in Subscription.objects.filter(enabled=True, retired_at=None):
            wanted = [event.pk for event in events if is_about(subscription, event.type) and not _is_own(event)]
            if wanted:
                send(subscription, wanted, actor=SYSTEM)


def _is_own(event: Event) -> bool:
    """Whether it tells how a webhook's own delivery fares: telling that by webhook would never end."""
    return KIND in (event.details.get("kind"), str(event.details.get("lane", event.subject_id)).partition(":")[0])


def _in_use() -> tuple[Subscription, ...]:
    return parties.get(
        ("webhooks",), lambda: tuple(Subscription.objects.filter(enabled=True, retired_at=None).order_by("pk"))
    )


READER = Reader()
