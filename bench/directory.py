"""A directory of any size: people, each in three of fifty groups. Import it after Django is set up."""

from datetime import UTC, datetime
from typing import Any

from broker.directory.models import Group, Membership, Person
from broker.registry.cache import raise_version
from broker.registry.models import IdentityProvider, Organisation

GROUPS = 50
BATCH: dict[str, Any] = {"batch_size": 1_000}


def make_directory(count: int) -> list[str]:
    """Make `count` people, and return their ids."""
    now = datetime.now(UTC)
    organisation = Organisation.objects.create(slug="bench", name="Bench", created_at=now)
    provider = IdentityProvider.objects.create(
        slug="bench",
        name="Bench",
        organisation=organisation,
        protocol="saml",
        issuer="https://bench.example",
        created_at=now,
    )
    groups = Group.objects.bulk_create(
        [Group(identity_provider=provider, name=f"group-{number}") for number in range(GROUPS)]
    )
    people = Person.objects.bulk_create(
        [
            Person(
                organisation=organisation,
                name=f"Person {number}",
                claims={"department": ["sales"], "title": ["clerk"]},
                created_at=now,
                updated_at=now,
            )
            for number in range(count)
        ],
        **BATCH,
    )
    Membership.objects.bulk_create(
        [
            Membership(person=person, group=groups[(number * step) % GROUPS], since=now)
            for number, person in enumerate(people)
            for step in {(number % 7) + 1, (number % 11) + 8, (number % 13) + 20}
            if step < GROUPS
        ],
        ignore_conflicts=True,
        **BATCH,
    )
    raise_version()
    return [str(person.pk) for person in people]
