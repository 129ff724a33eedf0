"""The rows of conflicts: one for each person, attribute and source, as the values came and went."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from broker.actors import Actor
from broker.directory.models import Conflict, Person
from broker.directory.row_updates import update_rows
from broker.events import catalogue
from broker.events.services import record

_Kind = tuple[str, str, str, str]
"""Code, attribute, source and winner of a conflict."""


@dataclass(frozen=True, slots=True)
class Dispute:
    """What a source says without authority; without a code: it no longer does."""

    person: Person
    attribute: str
    source: str
    code: str = ""
    values: tuple[str, ...] = ()
    digest: str = ""
    winner: str = ""
    evidence: str = ""


def write_disputes(disputes: Sequence[Dispute], *, actor: Actor, now: datetime) -> None:
    """Open, renew and end the rows of conflicts. What begins or has another value gets an event.

    Where several people are in the same conflict at once, one event tells of them, with their ids under `people`.
    """
    people = {dispute.person.pk for dispute in disputes}
    names = {dispute.attribute for dispute in disputes}
    rows = {
        (row.person_id, row.attribute, row.source): row
        for row in Conflict.objects.filter(person__in=people, attribute__in=names).order_by()
    }
    new, changed, begun = [], [], defaultdict[_Kind, list[Dispute]](list)
    for dispute in disputes:
        row = rows.get((dispute.person.pk, dispute.attribute, dispute.source))
        if not dispute.code:
            if row is not None and row.state != Conflict.State.ENDED:
                row.state, row.resolved_at = Conflict.State.ENDED, now
                changed.append(row)
            continue
        if row is None:
            row = Conflict(person=dispute.person, attribute=dispute.attribute, source=dispute.source)
            new.append(row)
        elif row.digest == dispute.digest and row.code == dispute.code and row.state != Conflict.State.ENDED:
            continue
        else:
            changed.append(row)
        _open(row, dispute, now=now)
        begun[dispute.code, dispute.attribute, dispute.source, dispute.winner].append(dispute)
    if new:
        Conflict.objects.bulk_create(new)
    if changed:
        update_rows(changed, _COLUMNS)
    for kind, several in begun.items():
        _tell(kind, several, actor=actor)


def _tell(kind: _Kind, disputes: Sequence[Dispute], *, actor: Actor) -> None:
    code, attribute, source, winner = kind
    told: dict[str, Any] = {"attribute": attribute, "source": source, "winner": winner}
    if len(disputes) == 1:
        subject = ("person", disputes[0].person.pk)
        record(catalogue.AUTHORITY_CONFLICT, actor=actor, subject=subject, code=code, **told)
    else:
        people = [str(dispute.person.pk) for dispute in disputes]
        record(catalogue.AUTHORITY_CONFLICT, actor=actor, code=code, people=people, **told)


_COLUMNS = (
    "code",
    "values",
    "digest",
    "winner",
    "evidence",
    "state",
    "opened_at",
    "resolved_at",
    "resolved_by",
    "note",
    "rule",
)


def _open(row: Conflict, dispute: Dispute, *, now: datetime) -> None:
    row.code, row.values, row.digest = dispute.code, list(dispute.values), dispute.digest
    row.winner, row.evidence = dispute.winner, dispute.evidence
    row.state, row.opened_at = Conflict.State.OPEN, now
    row.resolved_at, row.resolved_by, row.note, row.rule = None, "", "", None
