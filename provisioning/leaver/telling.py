"""What the book is told of a case: each event names the case, its number within it, and the digests of items."""

from collections.abc import Iterable, Sequence
from typing import Any

from broker import limits
from broker.actors import Actor
from broker.events import catalogue
from broker.events.models import Event
from broker.events.services import record
from provisioning.leaver.digests import item_digest
from provisioning.leaver.models import Case, Item

SUBJECT = "leaver"


def tell(
    case: Case, event_type: catalogue.EventType, items: Sequence[Item] = (), *, actor: Actor, **details: Any
) -> Event:
    """Write one event of the case, or more where there are many items; returns the first. Raises `case.number`.

    The caller holds the case's row and saves it: two events never have the same number.
    """
    first = None
    for part in _parts(items):
        case.number += 1
        event = record(
            event_type if first is None else catalogue.LEAVER_ITEM_SETTLED,
            actor=actor,
            subject=(SUBJECT, case.pk),
            number=case.number,
            state=str(case.state),
            items={item.key: item_digest(item) for item in part},
            **(details if first is None else {}),
        )
        first = first or event
    assert first is not None  # noqa: S101 - `_parts` yields at least one
    return first


def _parts(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    size = limits.LEAVER_ITEMS_PER_EVENT
    return [items[start : start + size] for start in range(0, len(items), size)] or [()]
