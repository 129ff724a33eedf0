"""People as one source tells of them: their records, and what the directory is told.

Everything here happens inside the transaction of the caller. A record that the source deleted stays with its id: who
comes back under the same externalId or userName is the same person.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from scim2_models import NotFoundException, PreconditionFailedException, UniquenessException

from broker.actors import Actor
from broker.directory.attributes import ACTIVE, SINGLE
from broker.directory.authority import Written, explain_value, withdraw_source, write_attributes
from broker.directory.groups import remove_members
from broker.directory.models import Group, Person
from broker.directory.services import create_person
from broker.directory.sources import Source, SourceKind
from broker.statements import Parameter, Read
from provisioning.inbound.filters import as_identifier
from provisioning.inbound.groups import join_waiting
from provisioning.inbound.journal import APPLIED, CONFLICT, KEPT, NOT_TOLD, STORED, UNCHANGED, Effects, Journal
from provisioning.inbound.models import Record, RecordValue, ScimSource
from provisioning.inbound.records import columns_of, live_records, write_values
from provisioning.inbound.representation import version_of
from provisioning.scim.mapping import ENTERPRISE_SCHEMA, USER_SCHEMA, attributes_of_document

_MAPPED = frozenset(
    {
        *("schemas", "externalId", "userName", "displayName", "name", "nickName", "title", "userType", "active"),
        *("preferredLanguage", "locale", "timezone", "emails", "phoneNumbers", ENTERPRISE_SCHEMA),
    }
)
"""What of a User the directory is told; the rest is only kept."""
_RECORD = Read[Record](
    lambda: Record.objects.filter(
        source=Parameter(Record, "source"), person=Parameter(Record, "person"), deleted_at=None
    ).order_by()
)


class People:
    """The Users of one source."""

    def __init__(self, source: ScimSource, *, actor: Actor, journal: Journal) -> None:
        self.source = source
        self.actor = actor
        self.journal = journal
        self.authority = Source(SourceKind.SCIM, source.slug)

    def find(self, identifier: str, *, to_write: bool = False) -> Record:
        """The record; others who want to write it wait. Raises NotFoundException, for another source's alike."""
        person = as_identifier(identifier)
        record: Record | None = None
        if person and to_write:
            rows = live_records(self.source).select_for_update(of=("self",)).select_related("person")
            record = rows.filter(person=person).first()
        elif person:
            record = _RECORD.first(source=self.source.pk, person=person)
        if record is None:
            raise NotFoundException(detail="This source has no User of that id")
        return record

    def create(self, document: dict[str, Any]) -> Record:
        """A new record; of somebody who was deleted before, the same one again.

        Raises UniquenessException, InvalidValueException, BrokerError (authority.*).
        """
        document.setdefault("active", True)
        now = timezone.now()
        columns = columns_of(document)
        former = self._former(columns)
        with _unique():
            person = former.person if former else self._person(columns["external_id"])
            record = former or Record(source=self.source, person=person, created_at=now, version=0)
            self._fill(record, document, columns, now=now)
            record.deleted_at = None
            record.save(force_insert=former is None)
        write_values(record, document)
        self.journal.effects.subject = str(person.pk)
        self._tell(record.person, {}, document)
        joined = join_waiting(self.source, record, actor=self.actor)
        self.journal.effects.count("groups joined", joined)
        return record

    def update(self, record: Record, document: dict[str, Any], *, expected_version: str | None = None) -> Record:
        """The record with its whole new state. Raises as `create`, PreconditionFailedException."""
        if expected_version is not None and version_of(record) != expected_version:
            raise PreconditionFailedException
        self.journal.effects.subject = str(record.person_id)
        before = record.document
        if document == before:
            self._tell(record.person, before, document)
            return record
        columns = columns_of(document)
        has_new_name = (columns["external_id"], columns["user_name"]) != (record.external_id, record.user_name)
        if has_new_name:
            self._check_free(columns, besides=record)
        with _unique():
            self._fill(record, document, columns, now=timezone.now())
            record.save(force_update=True)
        if any(before.get(name) != document.get(name) for name in RecordValue.Attribute.values):
            RecordValue.objects.filter(record=record).delete()
            write_values(record, document)
        self._tell(record.person, before, document)
        if has_new_name:
            self.journal.effects.count("groups joined", join_waiting(self.source, record, actor=self.actor))
        return record

    def delete(self, record: Record, *, expected_version: str | None = None) -> None:
        """The source knows this person no more. The person stays, and the record with what finds it again."""
        if expected_version is not None and version_of(record) != expected_version:
            raise PreconditionFailedException
        self.journal.effects.subject = str(record.person_id)
        # A source that may not say whether an account is open does not close it by going, either.
        may_close = self._may_tell(ACTIVE)
        written = withdraw_source(
            record.person,
            self.authority,
            evidence=self.journal.evidence,
            actor=self.actor,
            reason="deleted over SCIM",
            attributes=None if may_close else record.person.provenance.keys() - {ACTIVE},
        )
        for group in Group.objects.filter(scim_record__source=self.source, memberships__person=record.person_id):
            remove_members(group, [record.person_id], actor=self.actor)
            self.journal.effects.count("groups left", 1)
        RecordValue.objects.filter(record=record).delete()
        now = timezone.now()
        names = {name: None for name in columns_of(record.document) if name not in {"user_name", "external_id"}}
        for name, value in {**names, "document": {"schemas": [USER_SCHEMA]}, "deleted_at": now}.items():
            setattr(record, name, value)
        record.version += 1
        record.changed_at = now
        record.save(force_update=True)
        self._note(record.person, written, written.changed)
        if not may_close:
            self.journal.effects.note(ACTIVE, NOT_TOLD)

    def _former(self, columns: Mapping[str, Any]) -> Record | None:
        """The deleted record of who comes back. Raises UniquenessException where somebody is there already.

        The same userName under another externalId is another human being.
        """
        external_id = columns["external_id"]
        same = Q(user_name=columns["user_name"])
        if external_id is not None:
            same |= Q(external_id=external_id)
        rows = list(
            Record.objects.filter(same, source=self.source)
            .select_for_update(of=("self",))
            .select_related("person")
            .order_by("-deleted_at", "-pk")
        )
        for row in rows:
            if row.deleted_at is None:
                _refuse_taken("userName" if row.user_name == columns["user_name"] else "externalId", row)
        deleted = [row for row in rows if row.deleted_at is not None]
        if external_id is not None:
            for row in deleted:
                if row.external_id == external_id:
                    return row
        for row in deleted:
            if row.user_name == columns["user_name"] and None in (external_id, row.external_id):
                return row
        return None

    def _check_free(self, columns: Mapping[str, Any], *, besides: Record) -> None:
        same = Q(user_name=columns["user_name"])
        if columns["external_id"] is not None:
            same |= Q(external_id=columns["external_id"])
        for row in live_records(self.source).filter(same).exclude(pk=besides.pk)[:1]:
            _refuse_taken("userName" if row.user_name == columns["user_name"] else "externalId", row)

    def _person(self, external_id: str | None) -> Person:
        """Whom the HR system's own key names, where the source's externalId is that; else somebody new."""
        if not self.source.match_external_id or external_id is None:
            return create_person(self.source.organisation, actor=self.actor)
        known = Person.objects.filter(organisation=self.source.organisation_id, external_id=external_id).first()
        if known is None:
            return create_person(self.source.organisation, external_id=external_id, actor=self.actor)
        if Record.objects.filter(source=self.source, person=known).exists():
            raise UniquenessException(detail="externalId names a person of whom this source told under another one")
        return known

    def _fill(self, record: Record, document: dict[str, Any], columns: Mapping[str, Any], *, now: datetime) -> None:
        record.document = document
        for name, value in columns.items():
            setattr(record, name, value)
        record.version += 1
        record.changed_at = now

    def _tell(self, person: Person, before: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        """Tell the directory what the source says now, and that it says no more what is gone."""
        gone = attributes_of_document(before) if before else {}
        said = {**dict.fromkeys(gone, ()), **attributes_of_document(document)}
        if document.get("active") is None:
            del said["active"]  # to take the word away opens no account
        values = {name: one[:1] if name in SINGLE else one for name, one in said.items()}
        told = {name: one for name, one in values.items() if self._may_tell(name)}
        written = write_attributes(
            person, told, source=self.authority, evidence=self.journal.evidence, actor=self.actor, reason="over SCIM"
        )
        self._note(person, written, told)
        effects = self.journal.effects
        for name in sorted(values.keys() - told.keys()):
            effects.note(name, NOT_TOLD)
        for name in sorted((before.keys() | document.keys()) - _MAPPED):
            if before.get(name) != document.get(name):
                effects.note(name, STORED)

    def _may_tell(self, attribute: str) -> bool:
        return not self.source.authoritative_for or attribute in self.source.authoritative_for

    def _note(self, person: Person, written: Written, told: Iterable[str]) -> None:
        note_effects(self.journal.effects, person, written, told)


def note_effects(effects: Effects, person: Person, written: Written, told: Iterable[str]) -> None:
    """What became of each attribute, and whose word counts where it is not this source's."""
    for name in sorted(told):
        if name in written.kept:
            effect = CONFLICT if name in written.conflicts else KEPT
            winner = explain_value(person, name).winner
            effects.note(name, effect, by=winner, code=written.codes.get(name, ""))
        else:
            effects.note(name, APPLIED if name in written.changed else UNCHANGED)


class _unique:  # noqa: N801 - a context, used as a word
    """Turns what somebody else wrote at the same moment into the same refusal."""

    def __init__(self) -> None:
        self._atomic = transaction.atomic()

    def __enter__(self) -> None:
        self._atomic.__enter__()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._atomic.__exit__(kind, error, trace)
        if isinstance(error, IntegrityError):
            raise UniquenessException(detail="userName or externalId was taken at the same moment") from error


def _refuse_taken(attribute: str, row: Record) -> None:
    raise UniquenessException(
        attribute=attribute, detail=f"{attribute} belongs to the User {row.person_id} of this source already"
    )
