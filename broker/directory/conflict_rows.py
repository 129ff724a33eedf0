"""The rows of conflicts: one for each person, attribute and source, as the values came and went."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.actors import Actor
from broker.directory.models import Conflict, Person
from broker.events import catalogue
from broker.events.services import record


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
    """Open, renew and end the rows of conflicts. What begins or has another value gets an event."""
    people = {dispute.person.pk for dispute in disputes}
    names = {dispute.attribute for dispute in disputes}
    rows = {
        (row.person_id, row.attribute, row.source): row
        for row in Conflict.objects.filter(person__in=people, attribute__in=names).order_by()
    }
    new, changed = [], []
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
        record(
            catalogue.AUTHORITY_CONFLICT,
            actor=actor,
            subject=("person", dispute.person.pk),
            code=dispute.code,
            attribute=dispute.attribute,
            source=dispute.source,
            winner=dispute.winner,
        )
    if new:
        Conflict.objects.bulk_create(new)
    if changed:
        Conflict.objects.bulk_update(changed, _COLUMNS)


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
