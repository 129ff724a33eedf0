"""Asking targets at once, where an operator does not want to wait for the next attempt or the next planned reading."""

from collections.abc import Sequence
from datetime import datetime

from broker.actors import Actor
from broker.delivery.models import Delivery, Lane
from broker.delivery.services import resume_lane, retry
from broker.errors import BrokerError
from provisioning.leaver.doors.targets import Place, ask_to_close, places_of
from provisioning.leaver.models import Case, Item

GIVEN_UP = (Item.Code.REFUSED, Item.Code.WRITTEN_OFF)
WAITING = (Delivery.State.PENDING, Delivery.State.RETRYING, Delivery.State.DEAD)


def ask_targets(case: Case, items: Sequence[Item], *, now: datetime, actor: Actor) -> int:
    """Attempt at once what waits at targets, and have closed accounts read with the next look at the case.

    What was given up is asked for anew, through the breaker. A lane in which nobody answered goes on; one that an
    operator paused, what the breaker holds and what is kept by policy stay as they are. Returns how many items were
    asked about. The caller holds the case's row, and looks at it.
    """
    places = places_of(case, [item for item in items if item.kind == Item.Kind.TARGET])
    asked = 0
    for item in items:
        place = places.get(item.reference) if item.kind == Item.Kind.TARGET else None
        if place is None or not place.target.is_in_use or item.code in (Item.Code.HELD, Item.Code.KEPT):
            continue
        if Lane.objects.filter(name=place.target.lane, state=Lane.State.BROKEN).exists():
            resume_lane(place.target.lane, actor=actor)
        if not item.is_open and item.reading is None:
            item.read_next_at = now
            asked += 1
        elif item.code in GIVEN_UP and not place.is_being_closed:
            ask_to_close(place, case, now=now)
            asked += 1
        else:
            asked += _attempt(item, place, actor=actor)
    return asked


def _attempt(item: Item, place: Place, *, actor: Actor) -> bool:
    """The newest row that shall close an open account, and the reading under way. One that is carried is at it."""
    rows = [*(place.syncs[:1] if item.is_open else ()), *(row for row in place.readings if row.pk == item.reading)]
    has_asked = False
    for row in rows:
        if row.hold or row.state not in WAITING:
            continue
        try:
            retry(row, actor=actor)
        except BrokerError:
            continue  # it was taken up, or settled, in this moment
        has_asked = True
    return has_asked
