"""Groups as one source tells of them: members in sets, in a bounded number of statements however many there are.

A member of whom the source has not told is never dropped in silence: by the source's setting the whole request is
refused, or the rest is done and the member waits for the person.
"""

from collections.abc import Iterable
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from scim2_models import (
    InvalidValueException,
    NotFoundException,
    PreconditionFailedException,
    UniquenessException,
)

from broker import limits
from broker.actors import Actor
from broker.directory.attributes import comparable
from broker.directory.groups import add_members, create_group, delete_group, remove_members, rename_group, set_members
from broker.directory.sources import Source, SourceKind
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record as record_event
from provisioning.inbound.filters import as_identifier
from provisioning.inbound.group_changes import GroupChange
from provisioning.inbound.journal import APPLIED, UNCHANGED, Journal
from provisioning.inbound.models import GroupRecord, PendingMember, Record, ScimSource
from provisioning.inbound.records import exact, key, known_people
from provisioning.inbound.representation import version_of


class UnknownMembers(InvalidValueException):
    """The group names members of whom this source has not told; nothing of the request was done."""

    def __init__(self, unknown: list[str]) -> None:
        named = ", ".join(one[:100] for one in unknown[: limits.SCIM_UNKNOWN_NAMED])
        more = len(unknown) - limits.SCIM_UNKNOWN_NAMED
        rest = f" and {more} more" if more > 0 else ""
        super().__init__(detail=f"members of whom this source has not told: {named}{rest}")


class Groups:
    """The Groups of one source."""

    def __init__(self, source: ScimSource, *, actor: Actor, journal: Journal) -> None:
        self.source = source
        self.actor = actor
        self.journal = journal
        self.authority = Source(SourceKind.SCIM, source.slug)
        self.unknown: list[str] = []
        """Members that this request named and that wait for their person."""

    def find(self, identifier: str, *, to_write: bool = False) -> GroupRecord:
        """The group; others who want to write it wait. Raises NotFoundException, for another source's alike."""
        uid = as_identifier(identifier)
        rows = GroupRecord.objects.filter(source=self.source)
        if to_write:
            rows = rows.select_for_update(of=("self",)).select_related("group")
        group = rows.filter(uid=uid).first() if uid else None
        if group is None:
            raise NotFoundException(detail="This source has no Group of that id")
        return group

    def create(self, change: GroupChange) -> GroupRecord:
        """A new group with its members. Raises UniquenessException, UnknownMembers, BrokerError."""
        name = change.display_name or ""
        check_not_protected(name)
        known, unknown = self._sort(change.replaced or ())
        now = timezone.now()
        columns = self._columns(name, change.external_id)
        try:
            with transaction.atomic():
                group = create_group(
                    name, source=self.authority, external_id=change.external_id or "", actor=self.actor
                )
                row = GroupRecord.objects.create(
                    source=self.source,
                    group=group,
                    uid=cast(UUID, group.uid),
                    display=name,
                    created_at=now,
                    changed_at=now,
                    **columns,
                )
        except (IntegrityError, BrokerError) as error:
            raise _taken(error) from error
        self.journal.effects.subject = str(row.uid)
        self.journal.effects.note("displayName", APPLIED)
        self._wait(row, unknown)
        if known:
            self._note_members(added=len(set_members(group, known, actor=self.actor).added))
        return row

    def change(self, row: GroupRecord, change: GroupChange, *, expected_version: str | None = None) -> GroupRecord:
        """The group as the change wants it. Raises as `create`, PreconditionFailedException."""
        if expected_version is not None and version_of(row) != expected_version:
            raise PreconditionFailedException
        check_not_protected(row.display)
        self.journal.effects.subject = str(row.uid)
        coming = change.added if change.replaced is None else change.replaced
        known, unknown = self._sort(coming)
        has_changed = self._rename(row, change)
        if change.replaced is not None:
            done = set_members(row.group, known, actor=self.actor)
            waiting = PendingMember.objects.filter(group=row).exclude(value__in=unknown)
            added, removed = len(done.added), len(done.removed) + waiting.delete()[0]
        else:
            added = len(add_members(row.group, known, actor=self.actor).added) if known else 0
            removed = self._remove(row, change.removed)
        has_changed |= bool(added or removed) | self._wait(row, unknown)
        self._note_members(added=added, removed=removed)
        if has_changed:
            row.version += 1
            row.changed_at = timezone.now()
            row.save(force_update=True)
        return row

    def delete(self, row: GroupRecord, *, expected_version: str | None = None) -> None:
        """The group and the places in it; its people stay."""
        if expected_version is not None and version_of(row) != expected_version:
            raise PreconditionFailedException
        check_not_protected(row.display)
        self.journal.effects.subject = str(row.uid)
        PendingMember.objects.filter(group=row).delete()
        group = row.group
        row.delete()
        delete_group(group, actor=self.actor)

    def _columns(self, name: str, external_id: str | None) -> dict[str, Any]:
        return {"display_name": key("displayName", name), "external_id": exact("externalId", external_id or None)}

    def _rename(self, row: GroupRecord, change: GroupChange) -> bool:
        name = row.display if change.display_name is None else change.display_name
        external_id = (row.external_id or "") if change.external_id is None else change.external_id
        if (name, external_id) == (row.display, row.external_id or ""):
            if change.display_name is not None:
                self.journal.effects.note("displayName", UNCHANGED)
            return False
        check_not_protected(name)
        try:
            with transaction.atomic():
                row.group = rename_group(row.group, name, external_id=external_id, actor=self.actor)
                row.display = name
                for column, value in self._columns(name, external_id).items():
                    setattr(row, column, value)
                row.save(force_update=True)
        except (IntegrityError, BrokerError) as error:
            raise _taken(error) from error
        self.journal.effects.note("displayName", APPLIED)
        return True

    def _sort(self, values: Iterable[str]) -> tuple[list[UUID], list[str]]:
        """Those of whom the source has told, and the others. Raises UnknownMembers where the source refuses these."""
        named = {value: as_identifier(value) for value in values}
        people = known_people(self.source, [one for one in named.values() if one])
        unknown = [value for value, person in named.items() if person not in people]
        if unknown and self.source.unknown_members == ScimSource.UnknownMembers.REFUSE:
            raise UnknownMembers(unknown)
        return [person for person in named.values() if person in people and person], unknown

    def _wait(self, row: GroupRecord, unknown: list[str]) -> bool:
        """Let the unknown members wait, and say so. Returns whether there was anything new."""
        if not unknown:
            return False
        for value in unknown:
            exact("members.value", value)
        known = set(PendingMember.objects.filter(group=row, value__in=unknown).values_list("value", flat=True))
        new = [value for value in unknown if value not in known]
        if len(new) + PendingMember.objects.filter(source=self.source).count() > limits.SCIM_PENDING_MEMBERS:
            raise UnknownMembers(unknown)
        now = timezone.now()
        PendingMember.objects.bulk_create(
            [PendingMember(source=self.source, group=row, value=value, created_at=now) for value in new],
            ignore_conflicts=True,
        )
        self.unknown += unknown
        self.journal.effects.count("members unknown", len(unknown))
        record_event(
            catalogue.SCIM_MEMBERS_UNKNOWN,
            actor=self.actor,
            subject=("group", row.uid),
            source=self.source.authority,
            members=len(unknown),
            new=len(new),
        )
        return bool(new)

    def _remove(self, row: GroupRecord, values: Iterable[str]) -> int:
        wanted = list(values)
        if not wanted:
            return 0
        people = [person for value in wanted if (person := as_identifier(value))]
        gone = len(remove_members(row.group, people, actor=self.actor).removed) if people else 0
        return gone + PendingMember.objects.filter(group=row, value__in=wanted).delete()[0]

    def _note_members(self, *, added: int = 0, removed: int = 0) -> None:
        if added or removed:
            self.journal.effects.note("members", APPLIED)
        self.journal.effects.count("members added", added)
        self.journal.effects.count("members removed", removed)


def join_waiting(source: ScimSource, record: Record, *, actor: Actor) -> int:
    """Let a person of whom the source tells now into the groups that wait for them. Returns how many."""
    names = {str(record.person_id), record.user_name, record.document.get("userName"), record.external_id} - {None, ""}
    waiting = PendingMember.objects.filter(source=source, value__in=names).select_related("group__group")
    joined = list(waiting)
    for one in joined:
        add_members(one.group.group, [record.person_id], actor=actor)
        one.group.version += 1
        one.group.changed_at = timezone.now()
        one.group.save(force_update=True, update_fields=["version", "changed_at"])
    if joined:
        PendingMember.objects.filter(pk__in=[one.pk for one in joined]).delete()
        record_event(
            catalogue.SCIM_MEMBERS_JOINED,
            actor=actor,
            subject=("person", record.person_id),
            source=source.authority,
            groups=[str(one.group.uid) for one in joined],
        )
    return len(joined)


def check_not_protected(name: str) -> None:
    """Raise BrokerError for a group that makes operators: nobody outside writes who is in it."""
    if comparable(name) in {comparable(one) for one in settings.PROTECTED_GROUPS}:
        raise BrokerError("scim.protected_group")


def _taken(error: Exception) -> Exception:
    """The refusal of a name that another group of the source has; other refusals as they are."""
    if isinstance(error, BrokerError) and error.code != "authority.group_taken":
        return error
    return UniquenessException(detail="displayName or externalId belongs to another Group of this source")
