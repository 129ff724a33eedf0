"""What operators decide about leavers: a new owner, that they answer for something, or that targets are asked now."""

from django.db import transaction
from django.utils import timezone

from broker.actors import Actor, ActorKind
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.registry import values
from provisioning.leaver.doors.asking import ask_targets
from provisioning.leaver.doors.ownership import name_new_owner
from provisioning.leaver.models import Case, Item
from provisioning.leaver.settling import settle

ACCEPTABLE = (Item.Code.OWNER_NEEDED, Item.Code.KEPT, Item.Code.SWITCHED_OFF)
"""What an operator may take the responsibility for. What should be closed and is not is never talked away."""


@transaction.atomic
def name_owner(case: Case, item_ids: list[int], *, owner: str, actor: Actor) -> int:
    """Hand over what a leaver owned. Returns how many things. Raises BadValue, BrokerError (leaver.not_owned)."""
    owner = values.email(owner)
    case, items = _held(case)
    chosen = [item for item in items if item.pk in item_ids]
    if not chosen or any(item.kind != Item.Kind.OWNERSHIP or not item.is_open for item in chosen):
        raise BrokerError("leaver.not_owned", expected="open items that need a new owner")
    for item in chosen:
        name_new_owner(item, owner, actor=actor)
    settle(case, items, now=timezone.now(), actor=actor)
    return len(chosen)


@transaction.atomic
def accept_item(case: Case, item_id: int, *, note: str, actor: Actor) -> Item:
    """An operator answers for an item by name and with a reason. Raises BrokerError (leaver.not_acceptable, …)."""
    if actor.kind is not ActorKind.OPERATOR:
        raise BrokerError("leaver.not_acceptable", expected="an operator", actual=str(actor.kind))
    note = note.strip()
    if not note:
        raise BrokerError("leaver.no_reason")
    case, items = _held(case)
    item = next((one for one in items if one.pk == item_id), None)
    if item is None or not item.is_open or item.code not in ACCEPTABLE:
        raise BrokerError(
            "leaver.not_acceptable", expected=", ".join(ACCEPTABLE), actual=item.code if item else "no such item"
        )
    now = timezone.now()

    def accept() -> None:
        item.state, item.settled_at, item.code = Item.State.ACKNOWLEDGED, now, Item.Code.ACCEPTED
        item.acknowledged_by, item.note = actor.identifier, note[:500]

    settle(case, items, now=now, actor=actor, first=accept)
    return item


@transaction.atomic
def ask_again(case: Case, *, actor: Actor) -> int:
    """Ask the targets now instead of at the next attempt or reading. Returns how many items; evidence is what settles
    them, as ever. Raises BrokerError (leaver.over).
    """
    case, items = _held(case)
    now = timezone.now()
    asked = 0

    def ask() -> None:
        nonlocal asked
        asked = ask_targets(case, items, now=now, actor=actor)

    settle(case, items, now=now, actor=actor, first=ask)
    if asked:
        record(catalogue.LEAVER_ASKED_AGAIN, actor=actor, subject=("leaver_request", case.pk), items=asked)
    return asked


def _held(case: Case) -> tuple[Case, list[Item]]:
    held = Case.objects.select_for_update().filter(pk=case.pk, closed_at=None).first()
    if held is None:
        raise BrokerError("leaver.over")
    return held, list(held.items.all())
