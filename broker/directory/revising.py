"""Writing what sources say: into the provenance, and from there whose word counts into the person's own columns.

Everything of the directory that changes a person's attributes goes through `revise`, many people at a time.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from broker.actors import Actor
from broker.directory.attributes import ACTIVE, FALSE, IDENTIFIERS, NAMES, TRUE, Values
from broker.directory.conflict_rows import Dispute, write_disputes
from broker.directory.holdings import Form, Holdings
from broker.directory.identifiers import comparable
from broker.directory.models import Person
from broker.directory.orders import Orders, orders_at
from broker.directory.provenance import TAKEN, UNTOLD, Told, find_winner, said
from broker.directory.row_updates import update_rows
from broker.directory.sources import OPERATORS, OURSELVES, SourceKind
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record

TRIES = 3
"""How often identifiers are looked at again, when somebody else wrote one at the same moment."""
_COLUMNS = ("is_active", *NAMES, "claims", "provenance", "version", "updated_at")


@dataclass(frozen=True, slots=True)
class Statement:
    """What a source says of one attribute; `values` of None: it speaks of it no more."""

    values: Values | None
    is_gone: bool = False


@dataclass(slots=True)
class Revision:
    """One person, and what `source` says of them; `looked_at` names attributes whose winner is only found anew.

    `changed`, `kept` and `conflicts` tell what became of it.
    """

    person: Person
    source: str = ""
    statements: Mapping[str, Statement] = field(default_factory=dict)
    looked_at: Sequence[str] = ()
    changed: dict[str, Values] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    conflicts: dict[str, str] = field(default_factory=dict)
    was_active: bool = True
    disputes: list[Dispute] = field(default_factory=list)

    @property
    def attributes(self) -> list[str]:
        """All that is looked at."""
        return [*dict.fromkeys([*self.statements, *self.looked_at])]

    def begin(self) -> None:
        """Forget what a try before came to."""
        self.changed, self.kept, self.conflicts, self.disputes = {}, [], {}, []
        self.was_active = self.person.is_active


def revise(
    revisions: Sequence[Revision],
    *,
    evidence: str,
    actor: Actor,
    reason: str = "",
    refuses_taken: bool = False,
    told_besides: Sequence[str] = (),
) -> None:
    """Write revisions of different people, and the events of what came of them.

    The people's rows are locked, in the order of their ids, and read anew into the objects that were handed in.
    An identifier of somebody else stays theirs: the value is kept, and a conflict is recorded; or with `refuses_taken`
    nothing is written. Raises BrokerError("authority.identifier_taken") then.
    """
    ordered = sorted(revisions, key=lambda revision: revision.person.pk)
    if len({revision.person.pk for revision in ordered}) < len(ordered):
        raise ValueError("each person once: the second word would be written over the first")
    for _ in range(TRIES):
        try:
            with transaction.atomic():
                written = _revise(ordered, evidence=evidence, refuses_taken=refuses_taken, actor=actor)
                return _record(written, told_besides, evidence=evidence, actor=actor, reason=reason)
        except IntegrityError:
            # Somebody else wrote one of the identifiers between our look and our write: a second look sees it.
            continue
    raise BrokerError("authority.identifier_taken", detail="taken at the same moment, again and again")


def current_values(person: Person, attribute: str, held: Mapping[str, str]) -> Values:
    """What is in force; `held` are the person's identifiers by kind."""
    if attribute == ACTIVE:
        return TRUE if person.is_active else FALSE
    if attribute in NAMES:
        return (getattr(person, attribute),) if getattr(person, attribute) else ()
    if attribute in IDENTIFIERS:
        return (held[attribute],) if attribute in held else ()
    return tuple(person.claims.get(attribute, ()))


def moment(at: datetime) -> str:
    """A time as it stands in the provenance; two of them compare as texts."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _revise(revisions: Sequence[Revision], *, evidence: str, refuses_taken: bool, actor: Actor) -> list[Revision]:
    """Returns those of whom anything was written."""
    now = timezone.now()
    _lock(revisions)
    named = [revision for revision in revisions if any(one in IDENTIFIERS for one in revision.attributes)]
    holdings = Holdings(
        [revision.person for revision in named], {form for revision in named for form in _wanted(revision)}
    )
    order_of = orders_at(now)
    written = []
    for revision in revisions:
        revision.begin()
        if _settle(revision, holdings, order_of, evidence=evidence, now=now):
            written.append(revision)
        if refuses_taken:
            _check_free(revision)
    holdings.write(now=now)
    _save([revision.person for revision in written])
    disputes = [dispute for revision in written for dispute in revision.disputes]
    if disputes:
        write_disputes(disputes, actor=actor, now=now)
    return written


def _check_free(revision: Revision) -> None:
    """Raise BrokerError("authority.identifier_taken") when the source brings what is somebody else's."""
    for kind, code in sorted(revision.conflicts.items()):
        if code == TAKEN:
            said_now = revision.statements[kind].values
            raise BrokerError(
                "authority.identifier_taken",
                detail=f"{kind} of person {revision.person.pk}",
                expected=f"a {kind} of nobody else",
                actual=", ".join(said_now or ()),
            )


def _lock(revisions: Sequence[Revision]) -> None:
    keys = [revision.person.pk for revision in revisions if not revision.person.is_unseen]
    if not keys:
        return
    fresh = {one.pk: one for one in Person.objects.select_for_update().filter(pk__in=keys).order_by("pk")}
    for revision in revisions:
        if revision.person.is_unseen:
            continue
        person, row = revision.person, fresh[revision.person.pk]
        for column in Person._meta.concrete_fields:
            setattr(person, column.attname, getattr(row, column.attname))


def _wanted(revision: Revision) -> Iterable[Form]:
    """Every identifier that any source gives this person, of the kinds that are looked at."""
    for kind in revision.attributes:
        if kind in IDENTIFIERS:
            statement = revision.statements.get(kind)
            told = [one["values"] for one in revision.person.provenance.get(kind, {}).values()]
            for values in [*told, statement.values if statement and statement.values else ()]:
                yield from ((kind, comparable(value)) for value in values)


def _settle(revision: Revision, holdings: Holdings, order_of: Orders, *, evidence: str, now: datetime) -> bool:
    """Find the winners, and set them on the person. Returns whether there is anything to write."""
    person = revision.person
    provenance: dict[str, dict[str, Told]] = dict(person.provenance)
    for attribute in revision.attributes:
        current = current_values(person, attribute, holdings.values(person))
        statement = revision.statements.get(attribute)
        entries: dict[str, Told] = {source: {**told} for source, told in provenance.get(attribute, {}).items()}
        has_none = not entries and not current
        if statement is not None and statement.values == () and has_none:
            # What nobody ever told is not written down as empty.
            continue
        if not entries:
            entries = _told_before(revision, attribute, current, order_of)
        if statement is not None:
            _note(entries, revision.source, statement, evidence=evidence, now=now)
        if attribute in IDENTIFIERS:
            for told in entries.values():
                _mark(told, TAKEN if any(holdings.is_taken(person, attribute, one) for one in told["values"]) else "")
        winner = find_winner(attribute, entries, order_of(attribute))
        after = current if winner is None and attribute == ACTIVE else said(entries, winner)
        if statement is not None and statement.values is not None and revision.source != winner:
            revision.kept.append(attribute)
            mine = entries[revision.source]
            if tuple(mine["values"]) != after and mine.get("conflict") != TAKEN:
                _mark(mine, UNTOLD)
        _judge(revision, attribute, entries, winner, provenance.get(attribute, {}), after=after)
        if entries:
            provenance[attribute] = entries
        else:
            provenance.pop(attribute, None)
        if after != current:
            revision.changed[attribute] = after
            if attribute in IDENTIFIERS:
                holdings.assign(person, attribute, after)
    if provenance == person.provenance and not revision.changed:
        return False
    _set(person, revision.changed)
    person.provenance, person.version, person.updated_at = provenance, person.version + 1, now
    return True


def _told_before(revision: Revision, attribute: str, current: Values, order_of: Orders) -> dict[str, Told]:
    """What was in force before sources were recorded, as ourselves say; a closed account was closed by an operator.

    An identity provider's login brought what it now brings anew, so of that nothing is kept beside it.
    """
    if attribute == ACTIVE:
        source = "" if current == TRUE else str(OPERATORS)
    elif revision.source.startswith(f"{SourceKind.IDP}:") and order_of(attribute).rank(revision.source) is not None:
        source = ""
    else:
        source = str(OURSELVES) if current else ""
    if not source or source == revision.source:
        return {}
    return {source: {"values": list(current), "at": moment(revision.person.updated_at), "evidence": ""}}


def _note(entries: dict[str, Told], source: str, statement: Statement, *, evidence: str, now: datetime) -> None:
    """Write what the source says over what it said before; the same again changes nothing."""
    before = entries.get(source)
    if statement.values is None:
        entries.pop(source, None)
        return
    is_same = before is not None and tuple(before["values"]) == statement.values
    if before is not None and is_same and before.get("gone", False) == statement.is_gone:
        return
    told: Told = {"values": list(statement.values), "at": moment(now), "evidence": evidence}
    if before is not None:
        told["first"] = before.get("first") or before["at"]
        if "conflict" in before:
            told["conflict"] = before["conflict"]
    if statement.is_gone:
        told["gone"] = True
    entries[source] = told


def _mark(told: Told, code: str) -> None:
    """Note the conflict of an entry; "" takes away that of an identifier which is free now."""
    if code:
        told["conflict"] = code
    elif told.get("conflict") == TAKEN:
        del told["conflict"]


def _judge(
    revision: Revision,
    attribute: str,
    entries: dict[str, Told],
    winner: str | None,
    before: Mapping[str, Told],
    *,
    after: Values,
) -> None:
    """Say which conflicts began, which are others now, and which ended."""
    for source, told in entries.items():
        if told.get("conflict") == UNTOLD and (source == winner or tuple(told["values"]) == after):
            del told["conflict"]
        code = told.get("conflict", "")
        earlier = before.get(source)
        if code:
            if source == revision.source:
                revision.conflicts[attribute] = code
            if earlier is None or earlier.get("conflict") != code or earlier["values"] != told["values"]:
                revision.disputes.append(_dispute(revision, attribute, source, told, winner))
        elif earlier is not None and "conflict" in earlier:
            revision.disputes.append(Dispute(revision.person, attribute, source))
    for source, earlier in before.items():
        if source not in entries and "conflict" in earlier:
            revision.disputes.append(Dispute(revision.person, attribute, source))


def _dispute(revision: Revision, attribute: str, source: str, told: Told, winner: str | None) -> Dispute:
    return Dispute(
        revision.person,
        attribute,
        source,
        code=told.get("conflict", ""),
        values=tuple(told["values"]),
        digest=digest_of(attribute, told["values"]),
        winner=winner or "",
        evidence=told["evidence"],
    )


def digest_of(attribute: str, values: Sequence[str]) -> str:
    """By which a conflict's value is known again: of identifiers the form that must be unique."""
    forms = [comparable(value) for value in values] if attribute in IDENTIFIERS else list(values)
    return hashlib.sha256(json.dumps([attribute, forms]).encode()).hexdigest()


def _set(person: Person, changed: Mapping[str, Values]) -> None:
    others: dict[str, list[str]] = {}
    for attribute, values in changed.items():
        if attribute == ACTIVE:
            person.is_active = values == TRUE
        elif attribute in NAMES:
            setattr(person, attribute, values[0] if values else "")
        elif attribute not in IDENTIFIERS:
            others[attribute] = list(values)
    if others:
        person.claims = {**person.claims, **others}


def _save(people: Sequence[Person]) -> None:
    if len(people) == 1:
        people[0].save(update_fields=_COLUMNS)
    elif people:
        update_rows(people, _COLUMNS)


def _record(
    revisions: Sequence[Revision], told_besides: Sequence[str], *, evidence: str, actor: Actor, reason: str
) -> None:
    """The events: of accounts that closed or opened one each, of other changes one for all of a batch."""
    for revision in revisions:
        person = revision.person
        if person.is_active != revision.was_active:
            event = catalogue.PERSON_REACTIVATED if person.is_active else catalogue.PERSON_DEACTIVATED
            told = {"source": revision.source, "evidence": evidence} if evidence else {"source": revision.source}
            record(event, actor=actor, subject=("person", person.pk), reason=reason or "told by the source", **told)
    changed = [revision for revision in revisions if revision.changed.keys() - {ACTIVE}]
    if not changed:
        return
    names = sorted({*told_besides, *(name for revision in changed for name in revision.changed)} - {ACTIVE})
    details: dict[str, Any] = {"changed": names, "source": changed[0].source}
    if evidence:
        details["evidence"] = evidence
    if len(revisions) == 1:
        record(catalogue.PERSON_CHANGED, actor=actor, subject=("person", changed[0].person.pk), **details)
    else:
        people = [str(revision.person.pk) for revision in changed]
        record(catalogue.PERSON_CHANGED, actor=actor, people=people, **details)
