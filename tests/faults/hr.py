"""The source of the kill run: writes people and groups through the product's services, and remembers what it wrote.

What it remembers is what the targets are compared with. After an error it writes the same again, as any source would:
it cannot know whether the database had taken it.
"""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from django.db import Error, connection, transaction
from django.db.models import Count

from broker.actors import SYSTEM
from broker.delivery.models import Attempt, Delivery, Lane
from broker.directory.attributes import ACTIVE
from broker.directory.authority import write_many
from broker.directory.groups import create_group, set_members
from broker.directory.models import Group, Person
from broker.directory.services import create_person
from broker.directory.sources import Source, SourceKind
from broker.events.models import Notice
from broker.registry.models import Organisation
from provisioning.outbound.models import Target
from provisioning.outbound.probing import probe
from tests.factories import make_application, make_organisation
from tests.fakes.scim_target.running import ScimTarget
from tests.faults.judging import Wanted
from tests.faults.targets import make_target

SOURCE = Source(SourceKind.CSV, "payroll")
CHUNK = 25
CHANGES = 25
GROUPS = ("Engines", "Numbers", "Looms", "Sails")
RETRY_SECONDS = 0.5


class Employee:
    """One of them, as HR sees it. Every third may be disabled and enabled again; the others join groups."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.person: Person | None = None
        self.stamps = ["v1"]
        self.active = True

    @property
    def name(self) -> str:
        return f"e{self.number:05}"

    @property
    def comes_and_goes(self) -> bool:
        return self.number % 3 == 0

    @property
    def claims(self) -> dict[str, tuple[str, ...]]:
        return {
            "user_name": (self.name,),
            "email": (f"{self.name}@acme.example",),
            "family_name": (f"Family {self.number}",),
            "title": (self.stamps[-1],),
            ACTIVE: ("true",) if self.active else ("false",),
        }


class HumanResources:
    """`open` first; then `write_some` as often as there is room."""

    def __init__(self, chance: random.Random, people: int, targets: Mapping[str, ScimTarget]) -> None:
        self._chance = chance
        self._employees = [Employee(number) for number in range(people)]
        self._hired = 0
        self._steps = 0
        self._targets = targets
        self._members: dict[str, set[str]] = {name: set() for name in GROUPS}
        self._organisation: Organisation

    def open(self) -> None:
        """The company, its groups and its targets."""
        self._organisation = make_organisation()
        for name in GROUPS:
            create_group(name, source=SOURCE, actor=SYSTEM)
        for slug, target in self._targets.items():
            registered = make_target(
                slug,
                target,
                token=slug,
                application=make_application(slug=slug),
                group_strategy=Target.GroupStrategy.MEMBERSHIPS,
                groups=list(GROUPS),
            )
            probe(registered, actor=SYSTEM)

    def hire(self, number: int) -> list[Employee]:
        """So many more; `open` is not needed for it."""
        if not hasattr(self, "_organisation"):
            self._organisation = make_organisation()
        begin = len(self._employees)
        self._employees += [Employee(one) for one in range(begin, begin + number)]
        while self._hired < len(self._employees):
            self._again(self._hire)
            self._hired += CHUNK
        self._hired = len(self._employees)
        return self._employees[begin:]

    def change(self, employees: list[Employee], *, active: bool | None = None) -> None:
        """A new title for each, and the account closed or opened where that is said."""
        for employee in employees:
            employee.stamps.append(f"v{len(employee.stamps) + 1}")
            employee.active = employee.active if active is None else active
        self._again(lambda: self._tell(employees))

    def write_some(self) -> None:
        """Hire, change, disable, enable, or move between groups."""
        self._steps += 1
        if self._hired < len(self._employees):
            self._again(self._hire)
            self._hired += CHUNK
        if self._steps % 4 == 0:
            self._move(self._chance.choice(GROUPS))
        hired = self._employees[: self._hired]
        chosen = self._chance.sample(hired, min(CHANGES, len(hired)))
        for employee in chosen:
            employee.stamps.append(f"v{len(employee.stamps) + 1}")
            if employee.comes_and_goes and self._chance.random() < 0.5:
                employee.active = not employee.active
        self._again(lambda: self._tell(chosen))

    def hire_the_rest(self) -> int:
        """Everybody who was not hired yet. Returns how many those were."""
        left = max(len(self._employees) - self._hired, 0)
        while self._hired < len(self._employees):
            self._again(self._hire)
            self._hired += CHUNK
        return left

    def backlog(self) -> int:
        """Deliveries that wait; large while nobody can tell."""
        try:
            return Delivery.objects.filter(settled_at=None).count() + Notice.objects.count()
        except Error:
            connection.close()
            return 10**9

    def is_drained(self) -> bool:
        """Whether every event was read and every delivery settled."""
        try:
            return not Notice.objects.exists() and not Delivery.objects.filter(settled_at=None).exists()
        except Error:
            connection.close()
            return False

    def expected(self) -> dict[str, Wanted]:
        return {
            str(employee.person.pk): Wanted(employee.name, employee.active, tuple(employee.stamps))
            for employee in self._employees
            if employee.person is not None
        }

    def expected_groups(self) -> dict[str, set[str]]:
        return self._members

    def ledger_line(self) -> str:
        states = dict(Delivery.objects.values_list("state").annotate(Count("pk")).order_by("state"))
        outcomes = dict(Attempt.objects.values_list("outcome").annotate(Count("pk")).order_by("outcome"))
        return f"deliveries {states}; attempts {outcomes}"

    def ledger_state(self) -> str:
        """What is not settled or read yet, in a few lines."""
        waiting = Delivery.objects.filter(settled_at=None)
        rows = [
            f"{row.lane} {row.subject} {row.state} {row.reason} {row.detail} due {row.due_at:%H:%M:%S}"
            for row in waiting.order_by("pk")[:5]
        ]
        lanes = [
            f"{lane.name} {lane.state} {lane.reason} {lane.not_before} {lane.lease_until}"
            for lane in Lane.objects.all()
        ]
        return f"{Notice.objects.count()} notices, {waiting.count()} deliveries: {rows}; {lanes}; {self.ledger_line()}"

    def ledger_problems(self) -> list[str]:
        """Deliveries that are not settled well, and those whose attempts are not all told of, one by one."""
        problems = [
            f"delivery {row.pk} of {row.subject} is {row.state}: {row.reason} {row.detail}"
            for row in Delivery.objects.exclude(state__in=["confirmed", "superseded", "skipped"])[:10]
        ]
        told = Delivery.objects.annotate(told=Count("history")).values_list("pk", "attempts", "told")
        problems += [f"delivery {pk}: {attempts} attempts, {n} told of" for pk, attempts, n in told if attempts != n]
        return problems

    # -- What is written ------------------------------------------------

    def _hire(self) -> None:
        new = self._employees[self._hired : self._hired + CHUNK]
        names = [employee.name for employee in new]
        known = {person.external_id: person for person in Person.objects.filter(external_id__in=names)}
        with transaction.atomic():
            for name in [one for one in names if one not in known]:
                known[name] = create_person(self._organisation, external_id=name, actor=SYSTEM)
        for employee in new:
            employee.person = known[employee.name]
        self._tell(new)

    def _tell(self, employees: list[Employee]) -> None:
        people = Person.objects.in_bulk([employee.person.pk for employee in employees if employee.person])
        told: list[tuple[Person, Any]] = [
            (people[employee.person.pk], employee.claims) for employee in employees if employee.person
        ]
        write_many(told, source=SOURCE, evidence="journal:kill-run", actor=SYSTEM)

    def _move(self, name: str) -> None:
        steady = [one for one in self._employees[: self._hired] if not one.comes_and_goes and one.person]
        chosen = self._chance.sample(steady, min(len(steady), self._chance.randint(20, 200)))
        ids = {one.person.pk for one in chosen if one.person}
        self._members[name] = {str(one) for one in ids}
        self._again(lambda: set_members(Group.objects.get(name=name, source=str(SOURCE)), ids, actor=SYSTEM))

    def _again(self, work: Callable[[], object]) -> None:
        """Until the database has taken it."""
        while True:
            try:
                work()
            except Error:
                connection.close()
                time.sleep(RETRY_SECONDS)
            else:
                return
