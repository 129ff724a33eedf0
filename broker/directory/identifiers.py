"""Identifiers that applications may see: one person's at a time."""

import unicodedata
from datetime import datetime

from broker.directory.models import Identifier, Person
from broker.errors import BrokerError


def comparable(value: str) -> str:
    """The form that must be unique: compatibility-normalised and case-folded, so that look-alikes collide."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold())


def assign_identifiers(person: Person, values: dict[str, str], *, now: datetime) -> list[str]:
    """Make `values` ({kind: value}) this person's. Returns the kinds that changed.

    Raises BrokerError("authority.identifier_taken") when one belongs to another person: it is not moved silently.
    """
    person.forget_held()
    wanted = {(kind, comparable(value)) for kind, value in values.items()}
    owned = list(
        Identifier.objects.filter(person=person)
        | Identifier.objects.filter(comparable__in=[form for _, form in wanted]).exclude(person=person)
    )
    for row in owned:
        if row.person_id != person.pk and (row.kind, row.comparable) in wanted:
            raise BrokerError(
                "authority.identifier_taken",
                detail=f"{row.kind} belongs to person {row.person_id}",
                expected=f"a {row.kind} of nobody else",
                actual=row.value,
            )
    held = {row.kind: row for row in owned if row.person_id == person.pk}
    changed = []
    for kind, value in values.items():
        mine = held.get(kind)
        if mine is None:
            Identifier.objects.create(person=person, kind=kind, value=value, comparable=comparable(value), since=now)
        elif mine.value != value:
            mine.value, mine.comparable, mine.since = value, comparable(value), now
            mine.save(update_fields=["value", "comparable", "since"])
        else:
            continue
        changed.append(kind)
    return changed
