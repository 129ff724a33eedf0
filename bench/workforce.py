"""A workforce of any size: people, their names, and what a source told of them. Import it after Django is set up."""

from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from broker.actors import SYSTEM
from broker.directory.models import Identifier, Person
from provisioning.inbound.models import Record, RecordValue, ScimSource
from provisioning.inbound.records import columns_of, key
from provisioning.inbound.tokens import issue_token
from provisioning.scim.mapping import USER_SCHEMA
from tests.factories import make_organisation

BATCH: dict[str, Any] = {"batch_size": 1_000}
CHUNK = 10_000


def name_of(number: int) -> str:
    """The userName of a person; those of a hundred begin alike."""
    return f"person-{number:06}"


def make_people(count: int, *, first: int = 0, organisation: Any = None) -> list[UUID]:
    """So many active people with a user name, an e-mail address and a family name. Returns their ids."""
    organisation = organisation or make_organisation()
    now, made = timezone.now(), list[UUID]()
    for start in range(first, first + count, CHUNK):
        numbers = range(start, min(start + CHUNK, first + count))
        people = Person.objects.bulk_create(
            [
                Person(
                    organisation=organisation,
                    given_name="Ada",
                    family_name=f"Lovelace {number}",
                    claims={"title": ["Engineer"]},
                    created_at=now,
                    updated_at=now,
                )
                for number in numbers
            ],
            **BATCH,
        )
        made += [person.pk for person in people]
        names = [
            (person, kind, value)
            for number, person in zip(numbers, people, strict=True)
            for kind, value in (("user_name", name_of(number)), ("email", f"{name_of(number)}@acme.example"))
        ]
        Identifier.objects.bulk_create(
            [Identifier(person=one, kind=kind, value=value, comparable=value, since=now) for one, kind, value in names],
            **BATCH,
        )
    return made


def make_source() -> tuple[ScimSource, str]:
    """A source of people, and its token."""
    source = ScimSource.objects.create(
        slug="hr", name="HR", owner="hr@acme.example", organisation=make_organisation(), created_at=timezone.now()
    )
    return source, issue_token(source, actor=SYSTEM)


def make_told_people(source: ScimSource, count: int, *, first: int = 0) -> list[UUID]:
    """So many people of whom the source told. Returns their ids."""
    now, told = timezone.now(), list[UUID]()
    for start in range(first, first + count, CHUNK):
        size = min(CHUNK, first + count - start)
        people = make_people(size, first=start, organisation=source.organisation)
        told += people
        records = Record.objects.bulk_create(
            [
                Record(
                    source=source,
                    person_id=person,
                    document=document,
                    created_at=now,
                    changed_at=now,
                    **columns_of(document),
                )
                for person, document in zip(people, map(document_of, range(start, start + size)), strict=True)
            ],
            **BATCH,
        )
        RecordValue.objects.bulk_create(
            [
                RecordValue(
                    record=record,
                    source=source,
                    attribute="emails",
                    value=key("emails.value", entry["value"]),
                    type="work",
                    primary=True,
                )
                for record in records
                for entry in record.document["emails"]
            ],
            **BATCH,
        )
    return told


def document_of(number: int) -> dict[str, Any]:
    """What the source told of a person."""
    name = name_of(number)
    return {
        "schemas": [USER_SCHEMA],
        "externalId": f"hr-{number:06}",
        "userName": name,
        "displayName": f"Ada Lovelace {number}",
        "name": {"givenName": "Ada", "familyName": f"Lovelace {number}"},
        "emails": [{"value": f"{name}@acme.example", "type": "work", "primary": True}],
        "active": True,
    }


def analyse() -> None:
    """The statistics that a running installation has."""
    if connection.vendor == "postgresql":
        connection.cursor().execute("VACUUM ANALYZE")
