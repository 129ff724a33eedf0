"""The person's console accounts: closed by us, and read back."""

from collections.abc import Sequence
from datetime import datetime

from broker import limits
from broker.actors import SYSTEM
from broker.console.models import Operator
from broker.console.services import change_operator
from broker.events import catalogue
from provisioning.leaver.doors.base import new_item, settle_by_evidence
from provisioning.leaver.doors.book import last_events
from provisioning.leaver.models import Case, Item


class OperatorDoor:
    """Console accounts that are tied to the person and open. They let nobody in from the departure on."""

    kind = Item.Kind.OPERATOR

    def find(self, case: Case, *, now: datetime) -> list[Item]:  # noqa: ARG002 - the door's signature
        rows = Operator.objects.filter(person=case.person_id, is_active=True)
        return [
            new_item(case, self.kind, str(one.pk), f"console account ({one.role})", within=limits.LEAVER_DOOR_DEADLINE)
            for one in rows
        ]

    def look(self, case: Case, items: Sequence[Item], *, now: datetime) -> None:  # noqa: ARG002 - the door's signature
        mine = {item.reference: item for item in items if item.is_open}
        rows = Operator.objects.filter(pk__in=mine)
        for operator in rows.filter(is_active=True):
            change_operator(operator, actor=SYSTEM, is_active=False)
        events = last_events("operator", mine, catalogue.OPERATOR_CHANGED.name)
        for pk in rows.filter(is_active=False).values_list("pk", flat=True):
            reference = str(pk)
            evidence = {"operator": reference, "is_active": False}
            settle_by_evidence(mine[reference], Item.Code.CLOSED, evidence, now=now, event=events.get(reference))
