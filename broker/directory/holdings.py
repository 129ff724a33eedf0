"""Who holds which identifier, read and written for many people at once."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from broker.directory.attributes import Values
from broker.directory.identifiers import comparable
from broker.directory.models import Identifier, Person

Form = tuple[str, str]
"""(kind of identifier, comparable value)"""


class Holdings:
    """The identifiers of the people at hand, those of others that they would like to have, and what is to be done."""

    def __init__(self, people: Sequence[Person], forms: Collection[Form]) -> None:
        """Reads those of `people`, and whoever has one of `forms`."""
        self.held: dict[Any, dict[str, Identifier]] = {}
        self._owners: dict[Form, Any] = {}
        self._gone: list[Identifier] = []
        self._new: list[Identifier] = []
        if not people:
            return
        for person in people:
            person.forget_held()
        wanted = {form for _, form in forms}
        rows = Identifier.objects.filter(person__in=people).order_by()
        for row in rows | Identifier.objects.filter(comparable__in=wanted).order_by() if wanted else rows:
            self._owners[row.kind, row.comparable] = row.person_id
            self.held.setdefault(row.person_id, {})[row.kind] = row

    def values(self, person: Person) -> dict[str, str]:
        """{kind: value} of a person."""
        return {kind: row.value for kind, row in self.held.get(person.pk, {}).items()}

    def is_taken(self, person: Person, kind: str, value: str) -> bool:
        """Whether it belongs to somebody else."""
        return bool(self._owners.get((kind, comparable(value)), person.pk) != person.pk)

    def assign(self, person: Person, kind: str, values: Values) -> None:
        """Make it this person's, or nobody's. What was given up is free for the next one, in this batch too."""
        mine = self.held.setdefault(person.pk, {})
        before = mine.pop(kind, None)
        if before is not None:
            self._gone.append(before)
            self._owners.pop((kind, before.comparable), None)
        if values:
            row = Identifier(person=person, kind=kind, value=values[0], comparable=comparable(values[0]))
            self._new.append(row)
            self._owners[kind, row.comparable] = person.pk
            mine[kind] = row

    def write(self, *, now: datetime) -> None:
        """Raises IntegrityError when somebody else was faster."""
        gone = [row.pk for row in self._gone if row.pk]
        if gone:
            Identifier.objects.filter(pk__in=gone).delete()
        for row in self._new:
            row.since = now
        if self._new:
            Identifier.objects.bulk_create(self._new)
