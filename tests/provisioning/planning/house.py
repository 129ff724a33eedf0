"""A target in another process, our people, and accounts of theirs that stand there."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone

from broker.actors import Actor, ActorKind
from broker.directory.models import Identifier, Person
from broker.registry.models import Organisation
from provisioning.outbound.credentials import seal_credential
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.outbound.services import refresh_wanted
from provisioning.outbound.wanted import wanted_accounts
from tests.factories import make_application, make_organisation
from tests.fakes.scim_target.running import ScimTarget

MAPPING = {"userName": "email", "displayName": "name", "name.givenName": "given_name", "name.familyName": "family_name"}
TOKEN = "the-suite-at-the-target"
ADA = Actor(ActorKind.OPERATOR, "ada@acme.example", trace_id="AAAAA-BBBBB")
BOB = Actor(ActorKind.OPERATOR, "bob@acme.example", trace_id="AAAAA-CCCCC")


def make_target(base_url: str = "https://crm.example/scim", **fields: Any) -> Target:
    """A target to which everybody belongs, with names told."""
    fields = {
        "slug": "crm",
        "name": "The CRM",
        "owner": "crm@acme.example",
        "base_url": base_url,
        "scope": {"everyone": True},
        "mapping": MAPPING,
        "created_at": timezone.now(),
        "breaker_count": 50,
        "breaker_share": 0.5,
    } | fields
    if "application" not in fields:
        fields["application"] = make_application()
    target = Target.objects.create(**fields)
    if seal_credential(target, TOKEN):
        target.save()
    return target


def make_people(number: int, *, organisation: Organisation | None = None, start: int = 0) -> list[Person]:
    """Person 0, Person 1 and so on, each with an e-mail address."""
    organisation = organisation or make_organisation(domains=())
    now = timezone.now()
    people = Person.objects.bulk_create(
        [
            Person(
                organisation=organisation,
                name=f"Person {one}",
                given_name="Person",
                family_name=str(one),
                created_at=now,
                updated_at=now,
            )
            for one in range(start, start + number)
        ]
    )
    Identifier.objects.bulk_create(
        [
            Identifier(person=one, kind="email", value=f"p{n}@acme.example", comparable=f"p{n}@acme.example", since=now)
            for n, one in enumerate(people, start)
        ]
    )
    return people


def put_there(fake: ScimTarget, target: Target, people: Sequence[Person], **changes: Any) -> list[RemoteAccount]:
    """Accounts of these people, made there and known here as delivered an hour ago."""
    refresh_wanted(target, [one.pk for one in people])
    accounts = []
    for person_id, wanted in wanted_accounts(target, people).items():
        [made] = fake.act("create", document=wanted.body() | changes)
        account = RemoteAccount.objects.get(target=target, person=person_id)
        account.remote_id, account.state = made["id"], RemoteAccount.State.PRESENT
        account.sent_at = account.read_at = timezone.now() - timedelta(hours=1)
        account.sent_digest = account.read_digest = wanted.digest
        account.read_active = True
        account.save()
        accounts.append(account)
    return accounts


def close(people: Iterable[Person]) -> None:
    """They left; nobody told the target yet."""
    ids = [one.pk for one in people]
    Person.objects.filter(pk__in=ids).update(is_active=False)
