"""A target in a process of its own, registered with us, and the ledger carried by hand."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import count
from typing import Any

from django.utils import timezone

from broker.actors import SYSTEM
from broker.delivery.carrying import carry
from broker.delivery.models import Delivery, Lane, Priority
from broker.directory.models import Identifier, Person
from broker.registry.models import Application
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.outbound.registering import create_target
from provisioning.outbound.services import request_sync
from tests.factories import make_application, make_person
from tests.fakes.scim_target.running import ScimTarget

TOKEN = "the-targets-own-bearer-token"
_numbers = count(1)


class Desk:
    """One target and the people for it."""

    def __init__(self, there: ScimTarget, **fields: Any) -> None:
        self.there = there
        self.application: Application = fields.pop("application", None) or make_application()
        self.target: Target = create_target(
            fields.pop("slug", f"target-{next(_numbers)}"),
            application=self.application,
            actor=SYSTEM,
            **{
                "owner": "it@acme.example",
                "base_url": there.base_url,
                "credential": TOKEN,
                "scope": {"everyone": True},
                "max_connections": 4,
                **fields,
            },
        )

    def person(self, name: str = "alice", **fields: Any) -> Person:
        person = make_person(
            **{"name": name.title(), "given_name": name.title(), "family_name": "Doe", **fields}
            | ({"organisation": self.organisation} if "organisation" not in fields else {})
        )
        for kind, value in (("user_name", name), ("email", f"{name}@acme.example")):
            Identifier.objects.create(
                person=person, kind=kind, value=value, comparable=value.casefold(), since=timezone.now()
            )
        return person

    @property
    def organisation(self) -> Any:
        if not hasattr(self, "_organisation"):
            self._organisation = make_person().organisation
        return self._organisation

    def sync(self, *people: Person, priority: Priority = Priority.NORMAL, carried: bool = True, **options: Any) -> int:
        """Ask for these people's accounts, and carry until nothing is due."""
        enqueued = request_sync(
            self.target, [person.pk for person in people], priority=priority, actor=SYSTEM, **options
        )
        if carried:
            self.carry()
        return enqueued

    def carry(self, turns: int = 20) -> None:
        """Carry what is due, as the worker does."""
        for _ in range(turns):
            if not carry(self.target.lane):
                return

    def hurry(self) -> None:
        """Let what waits be due now, and carry it."""
        now = timezone.now() - timedelta(seconds=1)
        Delivery.objects.filter(lane=self.target.lane, settled_at=None).update(due_at=now)
        Lane.objects.filter(name=self.target.lane).update(not_before=None)
        self.carry()

    def account(self, person: Person) -> RemoteAccount:
        return RemoteAccount.objects.get(target=self.target, person=person)

    def delivery(self, person: Person) -> Delivery:
        """The newest row of this person."""
        return Delivery.objects.filter(lane=self.target.lane, subject=f"person:{person.pk}").latest("pk")

    def lane(self) -> Lane:
        return Lane.objects.get(name=self.target.lane)

    def users(self) -> list[dict[str, Any]]:
        """The accounts there that are not our canaries."""
        return self.there.users()

    def user(self, person: Person) -> dict[str, Any]:
        [found] = [one for one in self.users() if one.get("externalId") == str(person.pk)]
        return found


def effects_on(there: ScimTarget, people: Iterable[Person]) -> list[dict[str, Any]]:
    """Lines of the target's own log about these people."""
    wanted = {str(person.pk) for person in people}
    return [one for one in there.effects() if (one.get("document") or {}).get("externalId") in wanted]
