"""What a leaver owns by e-mail address: clients with their credentials, applications, flows, targets and sources.

It goes on working without its owner, so that somebody has to take it over, by name.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models.functions import Lower

from broker import limits
from broker.actors import Actor
from broker.console.models import Operator
from broker.directory.models import Identifier
from broker.events import catalogue
from broker.registry.registering.changes import subject_of
from provisioning.leaver.doors.base import new_item, settle_by_evidence
from provisioning.leaver.doors.book import last_events
from provisioning.leaver.doors.owned import KINDS
from provisioning.leaver.models import Case, Item


class OwnershipDoor:
    """One item for each thing that names the person's e-mail address as its owner."""

    kind = Item.Kind.OWNERSHIP

    def find(self, case: Case, *, now: datetime) -> list[Item]:  # noqa: ARG002 - the door's signature
        addresses = addresses_of(case)
        if not addresses:
            return []
        found = []
        for name, owned in KINDS.items():
            rows = owned.model._default_manager.annotate(owner_folded=Lower("owner")).filter(owned.live)
            for row in rows.filter(owner_folded__in=addresses).order_by("pk"):
                title = f"{name.replace('_', ' ')} {owned.key(row)}"
                item = new_item(case, self.kind, f"{name}:{row.pk}", title, within=limits.LEAVER_OWNER_DEADLINE)
                item.code = Item.Code.OWNER_NEEDED
                item.evidence = {"owner": owner_of(row), "subject": subject_of(name, owned.key(row))[1]}
                found.append(item)
        return found

    def look(self, case: Case, items: Sequence[Item], *, now: datetime) -> None:  # noqa: ARG002 - the door's signature
        for name, owned in KINDS.items():
            mine = {item.reference: item for item in items if item.is_open and item.reference.startswith(f"{name}:")}
            if not mine:
                continue
            pks = [reference.partition(":")[2] for reference in mine]
            rows = {str(row.pk): row for row in owned.model._default_manager.filter(pk__in=pks)}
            live = {
                str(pk)
                for pk in owned.model._default_manager.filter(owned.live, pk__in=pks).values_list("pk", flat=True)
            }
            for reference, item in mine.items():
                pk, subject = reference.partition(":")[2], item.evidence["subject"]
                row = rows.get(pk)
                if row is None or pk not in live:
                    event = last_events(name, [subject], catalogue.PARTY_RETIRED.name).get(subject)
                    evidence = {"was_owned_by": item.evidence["owner"], "subject": subject}
                    settle_by_evidence(item, Item.Code.RETIRED, evidence, now=now, event=event)
                    continue
                owner = owner_of(row)
                if owner.lower() != item.evidence["owner"].lower():
                    event = last_events(name, [subject], catalogue.PARTY_CHANGED.name).get(subject)
                    evidence = {"owner": owner, "subject": subject}
                    settle_by_evidence(item, Item.Code.OWNER_CHANGED, evidence, now=now, event=event)


def owner_of(row: Any) -> str:
    """The address in the column that every kind has."""
    return str(row.owner)


def name_new_owner(item: Item, owner: str, *, actor: Actor) -> None:
    """Write another owner through the service of what is owned. Raises BadValue, and KeyError for another's item."""
    name, _, pk = item.reference.partition(":")
    owned = KINDS[name]
    owned.change(owned.model._default_manager.get(pk=pk), actor=actor, owner=owner)


def addresses_of(case: Case) -> set[str]:
    """The e-mail addresses by which things name the person as their owner, in small letters."""
    held = Identifier.objects.filter(person=case.person_id, kind=Identifier.Kind.EMAIL).values_list("value", flat=True)
    accounts = Operator.objects.filter(person=case.person_id).values_list("email", flat=True)
    return {address.lower() for address in (*held, *accounts)}
