"""Groups that a feed tells of, and who is in them: many people in a few statements.

Groups of identity providers come with logins (broker.directory.services.set_groups).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from broker import limits
from broker.actors import Actor
from broker.directory.attributes import has_room_for, is_writable
from broker.directory.models import Group, Membership, Person
from broker.directory.sources import Source, SourceKind
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.parts import in_parts
from broker.registry.cache import raise_version

ROWS_PER_STATEMENT = 5_000
OLD_GROUPS_PER_RUN = 1_000
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Members:
    """What became of a group's members: ids of those who came and who went, and of those whom nobody knows."""

    added: tuple[UUID, ...] = ()
    removed: tuple[UUID, ...] = ()
    unknown: tuple[UUID, ...] = ()


@transaction.atomic
def create_group(name: str, *, source: Source, external_id: str = "", actor: Actor) -> Group:
    """Record a group of a source, without members.

    Raises BrokerError: authority.value, authority.too_large, authority.group_taken.
    """
    _check_name(name)
    _check_external_id(external_id)
    now = timezone.now()
    group = Group(source=str(source), name=name, external_id=external_id, created_at=now, updated_at=now)
    try:
        with transaction.atomic():
            group.save()
    except IntegrityError as error:
        raise _taken(group) from error
    record(catalogue.GROUP_CREATED, actor=actor, subject=("group", group.uid), source=group.source)
    return group


@transaction.atomic
def rename_group(group: Group, name: str, *, external_id: str | None = None, actor: Actor) -> Group:
    """Give a group another name, and another external id if there is one; its members keep their places.

    Raises BrokerError: authority.value, authority.too_large, authority.group_taken.
    """
    _check_name(name)
    held = _hold(group)
    changed = [
        field
        for field, value in (("name", name), ("external_id", external_id))
        if value is not None and getattr(held, field) != value
    ]
    if not changed:
        return held
    now = timezone.now()
    if external_id is not None:
        _check_external_id(external_id)
        held.external_id = external_id
    if "name" in changed:
        held.name, held.renamed_at = name, now
        # Decisions remember groups by name until the registry's version moves.
        raise_version()
    _touch(held, now=now)
    try:
        with transaction.atomic():
            held.save(update_fields=["name", "external_id", "renamed_at", "version", "updated_at"])
    except IntegrityError as error:
        raise _taken(held) from error
    record(catalogue.GROUP_CHANGED, actor=actor, subject=("group", held.uid), source=held.source, changed=changed)
    if "name" in changed:
        _tell_people(held, _members(held), actor=actor)
    return held


@transaction.atomic
def delete_group(group: Group, *, actor: Actor) -> None:
    """Take a group away, and with it the places of its members."""
    held = _hold(group)
    members = _members(held)
    Membership.objects.filter(group=held).delete()
    held.delete()
    record(catalogue.GROUP_DELETED, actor=actor, subject=("group", held.uid), source=held.source, members=len(members))
    _tell_people(held, members, actor=actor)


@transaction.atomic
def set_members(group: Group, person_ids: Iterable[UUID], *, actor: Actor) -> Members:
    """Make these people the group's members, and nobody else. People whom nobody knows are named, and left out."""
    held = _hold(group)
    wanted = dict.fromkeys(person_ids)
    present = set(_members(held))
    known, unknown = _known([one for one in wanted if one not in present])
    gone = [one for one in present if one not in wanted]
    return _change(held, added=known, removed=gone, unknown=unknown, actor=actor)


@transaction.atomic
def add_members(group: Group, person_ids: Iterable[UUID], *, actor: Actor) -> Members:
    """Let these people in as well. People whom nobody knows are named, and left out."""
    held = _hold(group)
    known, unknown = _known(list(dict.fromkeys(person_ids)))
    present = _present(held, known)
    return _change(held, added=[one for one in known if one not in present], removed=[], unknown=unknown, actor=actor)


@transaction.atomic
def remove_members(group: Group, person_ids: Iterable[UUID], *, actor: Actor) -> Members:
    """Take these people out; who is not in it, known or not, is out already."""
    held = _hold(group)
    present = _present(held, list(dict.fromkeys(person_ids)))
    return _change(held, added=[], removed=sorted(present), unknown=[], actor=actor)


def name_old_groups() -> int:
    """Give groups that the version of before wrote meanwhile their uid and source. Returns how many there were."""
    waiting = Group.objects.filter(Q(uid=None) | Q(source="", identity_provider__isnull=False))
    rows = list(waiting.select_related("identity_provider").order_by("pk")[:OLD_GROUPS_PER_RUN])
    for row in rows:
        row.uid = row.uid or uuid4()
        if row.identity_provider is not None:
            row.source = str(Source(SourceKind.IDP, row.identity_provider.slug))
    Group.objects.bulk_update(rows, ["uid", "source"])
    return len(rows)


def _change(
    group: Group, *, added: Sequence[UUID], removed: Sequence[UUID], unknown: Sequence[UUID], actor: Actor
) -> Members:
    """Write the memberships and their events. The group's row is held."""
    now = timezone.now()
    for part in in_parts(removed, ROWS_PER_STATEMENT):
        Membership.objects.filter(group=group, person__in=part).delete()
    if added:
        Membership.objects.bulk_create(
            [Membership(group=group, person_id=one, since=now) for one in added],
            batch_size=ROWS_PER_STATEMENT,
            ignore_conflicts=True,
        )
    if added or removed:
        _touch(group, now=now)
        group.save(update_fields=["version", "updated_at"])
        record(
            catalogue.GROUP_CHANGED,
            actor=actor,
            subject=("group", group.uid),
            source=group.source,
            added=len(added),
            removed=len(removed),
        )
        _tell_people(group, [*added, *removed], actor=actor)
    return Members(tuple(added), tuple(removed), tuple(unknown))


def _tell_people(group: Group, people: Sequence[UUID], *, actor: Actor) -> None:
    """One event for each part of those whose groups changed."""
    for part in in_parts(people, limits.DIRECTORY_CHUNK):
        record(
            catalogue.PERSON_CHANGED,
            actor=actor,
            people=[str(one) for one in part],
            changed=["groups"],
            source=group.source,
            group=str(group.uid),
        )


def _hold(group: Group) -> Group:
    """The group's row, which others wait for: two changes of one group's members happen one after the other."""
    return Group.objects.select_for_update().get(pk=group.pk)


def _touch(group: Group, *, now: datetime) -> None:
    group.version, group.updated_at = group.version + 1, now


def _members(group: Group) -> list[UUID]:
    return list(Membership.objects.filter(group=group).order_by().values_list("person_id", flat=True))


def _present(group: Group, people: Sequence[UUID]) -> set[UUID]:
    """Those of them who are in the group."""
    found: set[UUID] = set()
    for part in in_parts(people, ROWS_PER_STATEMENT):
        rows = Membership.objects.filter(group=group, person__in=part).order_by()
        found.update(rows.values_list("person_id", flat=True))
    return found


def _known(people: Sequence[UUID]) -> tuple[list[UUID], list[UUID]]:
    """Those who are recorded, and those who are not."""
    found: set[UUID] = set()
    for part in in_parts(people, ROWS_PER_STATEMENT):
        found.update(Person.objects.filter(pk__in=part).order_by().values_list("pk", flat=True))
    return [one for one in people if one in found], [one for one in people if one not in found]


def _check_name(name: str) -> None:
    if not name.strip() or not is_writable("name", name):
        raise BrokerError("authority.value", detail="group", expected="a name", actual="none, or a control character")
    if not has_room_for("groups", name):
        raise BrokerError("authority.too_large", detail="group", expected="a name that fits", actual=len(name))


def _check_external_id(external_id: str) -> None:
    room: int = Group._meta.get_field("external_id").max_length or 0
    if not is_writable("name", external_id):
        raise BrokerError("authority.value", detail="group", expected="an id", actual="a control character")
    if len(external_id) > room:
        raise BrokerError("authority.too_large", detail="group", expected=f"at most {room}", actual=len(external_id))


def _taken(group: Group) -> BrokerError:
    return BrokerError(
        "authority.group_taken", detail=group.source, expected="a name of no other group", actual="taken"
    )
