"""Short ways to put rows into the ledger and to look at them."""

from typing import Any

from broker.actors import SYSTEM, Actor, ActorKind
from broker.delivery.enqueueing import NewDelivery, enqueue
from broker.delivery.models import Attempt, Delivery, Lane
from broker.events.models import Event

ADA = Actor(ActorKind.OPERATOR, "ada@acme.example")
LANE = "target:crm"


def put(*subjects: str, kind: str = "letter", lane: str = LANE, **fields: Any) -> list[Delivery]:
    """A row for each subject, by default for one person."""
    rows = [NewDelivery(lane, subject, **fields) for subject in subjects or ("person:1",)]
    return enqueue(kind, rows, actor=SYSTEM)


def put_one(subject: str = "person:1", **fields: Any) -> Delivery:
    [row] = put(subject, **fields)
    return row


def states() -> list[str]:
    """Of all rows, oldest first."""
    return list(Delivery.objects.order_by("pk").values_list("state", flat=True))


def attempts(row: Delivery) -> list[str]:
    """The outcomes of a row's attempts."""
    return list(Attempt.objects.filter(delivery=row).values_list("outcome", flat=True))


def lane(name: str = LANE) -> Lane:
    return Lane.objects.get(name=name)


def events(type_name: str) -> list[Event]:
    return list(Event.objects.filter(type=type_name).order_by("pk"))
