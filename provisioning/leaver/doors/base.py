"""What every kind of door has in common."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from provisioning.leaver.digests import digest_of
from provisioning.leaver.models import Case, Item


class Door(Protocol):
    """One kind of item."""

    kind: Item.Kind

    def find(self, case: Case, *, now: datetime) -> list[Item]:
        """What is there, as items that are not saved yet. Changes nothing."""
        ...

    def look(self, case: Case, items: Sequence[Item], *, now: datetime) -> None:
        """Close what can be closed here, read back, and let the items say how they stand. Saves no item."""
        ...


def new_item(
    case: Case, kind: Item.Kind, reference: str, title: str, *, within: timedelta, since: datetime | None = None
) -> Item:
    """An open item whose deadline runs from the departure, or from `since`."""
    begin = since or case.left_at
    room = Item._meta.get_field("title").max_length
    return Item(
        case=case, kind=kind, reference=reference, title=title[:room], since=begin, deadline=begin + within, evidence={}
    )


def reopen(item: Item, code: Item.Code) -> None:
    """Nothing that was read of it counts any more."""
    item.state, item.code = Item.State.OPEN, code
    item.settled_at = item.until = item.delivery = item.event = None
    item.digest, item.evidence = "", {}


def settle_by_evidence(
    item: Item, code: Item.Code, evidence: dict[str, Any], *, now: datetime, event: int | None = None
) -> None:
    """Read back in our own tables: the digest is that of what was read."""
    item.state, item.code, item.settled_at = Item.State.READ_BACK, code, now
    item.evidence, item.digest, item.event = evidence, digest_of(evidence), event


def settle_unverifiable(item: Item, code: Item.Code, *, until: datetime, now: datetime) -> None:
    """Nobody can look; what it may hold ends at `until`."""
    item.state, item.code, item.settled_at, item.until = Item.State.NOT_VERIFIABLE, code, now, until
