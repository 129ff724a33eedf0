"""Recording people and their groups."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from broker.actors import Actor
from broker.directory.identifiers import assign_identifiers, comparable
from broker.directory.models import Group, Identifier, Membership, Person
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.registry.models import IdentityProvider, Organisation

NAME_CLAIMS = ("name", "given_name", "family_name")
IDENTIFIER_CLAIMS = tuple(Identifier.Kind.values)
_ROOM = {
    "name": Person._meta.get_field("name").max_length,
    "given_name": Person._meta.get_field("given_name").max_length,
    "family_name": Person._meta.get_field("family_name").max_length,
    "groups": Group._meta.get_field("name").max_length,
    **dict.fromkeys(IDENTIFIER_CLAIMS, Identifier._meta.get_field("comparable").max_length),
}
Claims = Mapping[str, tuple[str, ...]]


def create_person(organisation: Organisation, *, external_id: str | None = None, actor: Actor) -> Person:
    """Record a new person of an organisation."""
    now = timezone.now()
    person = Person.objects.create(organisation=organisation, external_id=external_id, created_at=now, updated_at=now)
    record(catalogue.PERSON_CREATED, actor=actor, subject=("person", person.pk), organisation=organisation.slug)
    return person


def has_room_for(claim: str, value: str) -> bool:
    """Whether the column of a claim holds this value: SQLite would take a longer one, and PostgreSQL refuses it."""
    room = _ROOM.get(claim)
    stored = comparable(value) if claim in IDENTIFIER_CLAIMS else value
    return room is None or max(len(value), len(stored)) <= room


def update_person(person: Person, claims: Claims, *, source: str, actor: Actor) -> list[str]:
    """Write what `source` says of a person; a claim that it does not name is left as it is.

    Returns the names of what changed, and records them (names only) when there are any.
    Raises BrokerError("authority.identifier_taken").
    """
    fields, changed = _changes(person, claims)
    identifiers = {kind: claims[kind][0] for kind in IDENTIFIER_CLAIMS if claims.get(kind)}
    if not changed and identifiers.items() <= person.held_identifiers.items():
        return []
    now = timezone.now()
    with transaction.atomic():
        if fields:
            _write(person, fields, now=now)
        changed += _assign(person, identifiers, now=now)
        if changed:
            record(
                catalogue.PERSON_CHANGED,
                actor=actor,
                subject=("person", person.pk),
                changed=sorted(changed),
                source=source,
            )
    return changed


def set_groups(person: Person, names: Sequence[str], *, identity_provider: IdentityProvider, actor: Actor) -> bool:
    """Make `names` the person's groups as far as this identity provider tells; others' groups stay.

    Returns whether anything changed, and records it if so.
    """
    now = timezone.now()
    held = {one.group: one.id for one in person.held_memberships if one.identity_provider_id == identity_provider.pk}
    wanted = set(names)
    gone = [number for name, number in held.items() if name not in wanted]
    new = sorted(wanted - held.keys())
    if gone or new:
        person.forget_held()
    if gone:
        Membership.objects.filter(pk__in=gone).delete()
    if new:
        Group.objects.bulk_create(
            [Group(identity_provider=identity_provider, name=name) for name in new], ignore_conflicts=True
        )
        groups = Group.objects.filter(identity_provider=identity_provider, name__in=new)
        Membership.objects.bulk_create(
            [Membership(person=person, group=group, since=now) for group in groups], ignore_conflicts=True
        )
    if gone or new:
        record(
            catalogue.PERSON_CHANGED,
            actor=actor,
            subject=("person", person.pk),
            changed=["groups"],
            source=identity_provider.slug,
        )
    return bool(gone or new)


@transaction.atomic
def deactivate_person(person: Person, *, reason: str, actor: Actor) -> Person:
    """Close every door to this person; sessions, tokens and operators ask at each use."""
    person = Person.objects.select_for_update().get(pk=person.pk)
    if person.is_active:
        _set_active(person, active=False)
        record(catalogue.PERSON_DEACTIVATED, actor=actor, subject=("person", person.pk), reason=reason)
    return person


@transaction.atomic
def reactivate_person(person: Person, *, reason: str, actor: Actor) -> Person:
    """Open the account again. Sessions and tokens of before stay ended."""
    person = Person.objects.select_for_update().get(pk=person.pk)
    if not person.is_active:
        _set_active(person, active=True)
        record(catalogue.PERSON_REACTIVATED, actor=actor, subject=("person", person.pk), reason=reason)
    return person


def _set_active(person: Person, *, active: bool) -> None:
    person.is_active = active
    person.updated_at = timezone.now()
    person.save(update_fields=["is_active", "updated_at"])


def _assign(person: Person, identifiers: dict[str, str], *, now: datetime) -> list[str]:
    """The kinds that changed. Raises BrokerError("authority.identifier_taken")."""
    try:
        with transaction.atomic():
            return assign_identifiers(person, identifiers, now=now)
    except IntegrityError:
        pass
    # Another login wrote one between our look and our write: a second look says whether it was this person's.
    try:
        with transaction.atomic():
            return assign_identifiers(person, identifiers, now=now)
    except IntegrityError as error:
        raise BrokerError("authority.identifier_taken", detail="taken at the same moment") from error


def _changes(person: Person, claims: Claims) -> tuple[dict[str, Any], list[str]]:
    """The fields of the person that come to differ, with their new values; and the claims behind them."""
    names = {
        name: claims[name][0] for name in NAME_CLAIMS if claims.get(name) and claims[name][0] != getattr(person, name)
    }
    others = {
        name: list(values)
        for name, values in claims.items()
        if name not in NAME_CLAIMS and name not in IDENTIFIER_CLAIMS and name != "groups"
        if values or name in person.claims
    }
    changed = [name for name, values in others.items() if person.claims.get(name) != values]
    fields: dict[str, Any] = {**names, "claims": {**person.claims, **others}} if changed else dict(names)
    return fields, [*names, *changed]


def _write(person: Person, fields: dict[str, Any], *, now: datetime) -> None:
    for name, value in {**fields, "updated_at": now}.items():
        setattr(person, name, value)
    person.save(update_fields=[*fields, "updated_at"])
