"""What an operator gave up, or a program in an operator's name: the item stays open, and says who it was and why."""

from broker.delivery.models import Delivery
from broker.events import catalogue
from broker.events.models import Event
from provisioning.leaver.doors.ledger import keep_proof
from provisioning.leaver.models import Item

CODES = {"delivery.not_released": Item.Code.REFUSED, "delivery.written_off": Item.Code.WRITTEN_OFF}
"""{why a row was skipped: what the item says}"""


def note_given_up(item: Item, row: Delivery | None) -> bool:
    """Note on an open item that `row`, the newest of those that shall close it, was given up since then.

    Returns whether it was.
    """
    if row is None or row.state != Delivery.State.SKIPPED or row.settled_at is None or row.settled_at < item.since:
        return False
    code = CODES.get(row.reason)
    if code is None:
        return False
    if (item.code, item.delivery) != (code, row.pk):
        item.code, item.delivery, item.note = code, row.pk, f"{_who(row, code)}: {row.detail}"[:500]
        keep_proof(item, row)
    return True


def _who(row: Delivery, code: Item.Code) -> str:
    """By the event of the book that tells of it."""
    is_refused = code == Item.Code.REFUSED
    event_type = catalogue.HOLD_DROPPED if is_refused else catalogue.DELIVERY_WRITTEN_OFF
    subject = ("hold", row.hold) if is_refused else ("delivery", str(row.pk))
    told = Event.objects.filter(type=event_type.name, subject_kind=subject[0], subject_id=subject[1])
    return told.order_by("-id").values_list("actor_id", flat=True).first() or "somebody"
