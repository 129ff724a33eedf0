"""Attribute authority: sources say what they know of a person, and by rule one of them counts.

Every value of every source is kept with its time and its evidence. A value whose source has no authority is not in
force, and a conflict is recorded. `broker.directory.provenance` says how the winner is found.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from broker.actors import Actor
from broker.directory.attributes import ACTIVE, FALSE, IDENTIFIERS, NAMES, Claims, Values, check_claims
from broker.directory.models import Person
from broker.directory.orders import orders_at
from broker.directory.provenance import TAKEN, Order, Told, find_winner
from broker.directory.revising import Revision, Statement, current_values, revise
from broker.directory.sources import OPERATORS, OURSELVES, Source, SourceKind


@dataclass(frozen=True, slots=True)
class Written:
    """What became of what a source said, by the names of attributes, sorted.

    `changed` came to differ for the person (whichever source's value it is now). `kept` is stored and not in force.
    `conflicts` is that part of it which differs from what is in force; `codes` says why
    (authority.not_authoritative, authority.identifier_taken).
    """

    changed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    codes: Mapping[str, str] = field(default_factory=dict)


def write_attributes(
    person: Person,
    values: Claims,
    *,
    source: Source,
    evidence: str,
    actor: Actor,
    reason: str = "",
    refuses_taken: bool = False,
    told_besides: Sequence[str] = (),
) -> Written:
    """Write what `source` says of a person; an attribute that it does not name is left as it is.

    `evidence` says where the values can be seen: `event:…`, `trace:…` or `journal:…`. `active` of ("false",) by a
    source with authority closes the account at once. The person's row is locked and read anew into `person`; when the
    source says nothing new, nothing is asked of the database. `told_besides` are changes of the same cause that the
    event names along with these, if there is one.
    Raises BrokerError: authority.attribute, authority.value, authority.too_large; with `refuses_taken` also
    authority.identifier_taken, where else a conflict is recorded. Then nothing is written.
    """
    told = [(person, values)]
    return write_many(
        told,
        source=source,
        evidence=evidence,
        actor=actor,
        reason=reason,
        refuses_taken=refuses_taken,
        told_besides=told_besides,
    )[0]


def write_many(
    told: Iterable[tuple[Person, Claims]],
    *,
    source: Source,
    evidence: str,
    actor: Actor,
    reason: str = "",
    refuses_taken: bool = False,
    told_besides: Sequence[str] = (),
) -> list[Written]:
    """`write_attributes` of many different people, in one transaction and a bounded number of statements.

    For parts of at most 500: of several people who changed, one event `person.changed` tells, with their ids under
    `people`. Raises as `write_attributes` does, and then nothing is written.
    """
    text = str(source)
    revisions = []
    for person, values in told:
        check_claims(values)
        revisions.append(Revision(person, text, {name: Statement(tuple(said)) for name, said in values.items()}))
    new = [revision for revision in revisions if _is_news(revision)]
    if new:
        revise(
            new,
            evidence=evidence,
            actor=actor,
            reason=reason,
            refuses_taken=refuses_taken,
            told_besides=told_besides,
        )
    known = {id(revision) for revision in new}
    return [_written(revision) if id(revision) in known else _unchanged(revision) for revision in revisions]


def withdraw_source(
    person: Person,
    source: Source,
    *,
    evidence: str,
    actor: Actor,
    reason: str = "",
    attributes: Collection[str] | None = None,
) -> Written:
    """The source speaks of this person no more: what others said of the same counts again.

    Its `active` becomes ("false",) where it ever spoke of that, or is a SCIM source. With `attributes` it only speaks
    of these no more, and `active` stays as it is unless it is among them.
    """
    text = str(source)
    names = {name for name, entries in person.provenance.items() if text in entries}
    if attributes is not None:
        names &= set(attributes)
    statements = {name: Statement(None) for name in sorted(names - {ACTIVE})}
    if ACTIVE in names or (attributes is None and source.kind is SourceKind.SCIM):
        statements[ACTIVE] = Statement(FALSE, is_gone=True)
    revision = Revision(person, text, statements)
    revise([revision], evidence=evidence, actor=actor, reason=reason or "withdrawn by the source")
    return _written(revision)


@dataclass(frozen=True, slots=True)
class Said:
    """What one source says of an attribute: since when, by what evidence, and why it counts or does not."""

    source: str
    values: Values
    at: str
    evidence: str
    is_winner: bool
    standing: str
    conflict: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an attribute is what it is. `winner` is "" where no source stands behind it; `rule` is how it was found."""

    attribute: str
    values: Values
    winner: str
    rule: str
    sources: tuple[Said, ...]


def explain_value(person: Person, attribute: str, *, now: datetime | None = None) -> Explanation:
    """Who says what of the attribute, and why one of them counts. An unknown attribute has no values and no sources."""
    entries = person.provenance.get(attribute, {})
    order = orders_at(now or timezone.now())(attribute)
    winner = find_winner(attribute, entries, order)
    in_force = current_values(person, attribute, person.held_identifiers if attribute in IDENTIFIERS else {})
    sources = [
        Said(
            source,
            tuple(told["values"]),
            told["at"],
            told["evidence"],
            source == winner,
            _standing(source, winner, told, order),
            told.get("conflict", ""),
        )
        for source, told in entries.items()
    ]
    sources.sort(key=lambda one: (not one.is_winner, order.rank(one.source) or 0, one.source))
    return Explanation(attribute, in_force, winner or "", _rule_text(attribute, winner, order), tuple(sources))


def explain_person(person: Person) -> list[Explanation]:
    """Of everything that is known of a person, sorted by name; of what is not, nothing."""
    names = {ACTIVE, *person.provenance, *person.claims, *person.held_identifiers}
    names |= {name for name in NAMES if getattr(person, name)}
    return [explain_value(person, name) for name in sorted(names)]


def _is_news(revision: Revision) -> bool:
    """Whether the source says anything that is not in the provenance or the conflicts yet, or may be by now."""
    provenance = revision.person.provenance
    order_of = orders_at(timezone.now())
    for name, statement in revision.statements.items():
        told = provenance.get(name, {}).get(revision.source)
        if told is None:
            if statement.values or name in provenance or name in IDENTIFIERS or _is_there(revision.person, name):
                return True
        elif tuple(told["values"]) != statement.values or told.get("gone") or told.get("conflict") == TAKEN:
            return True
        elif "conflict" not in told:
            # What lost without being in conflict with what was in force then is one when it is said again.
            winner = find_winner(name, provenance[name], order_of(name))
            if winner is not None and provenance[name][winner]["values"] != told["values"]:
                return True
    return False


def _is_there(person: Person, name: str) -> bool:
    return bool(getattr(person, name) if name in NAMES else person.claims.get(name))


def _standing(source: str, winner: str | None, told: Told, order: Order) -> str:
    """Why what a source says counts, or does not."""
    if source == winner:
        return "in force"
    if told.get("conflict") == TAKEN:
        return "belongs to somebody else"
    if order.rank(source) is None:
        return "has no authority"
    return "ranks below"


def _rule_text(attribute: str, winner: str | None, order: Order) -> str:
    if attribute == ACTIVE and winner in (str(OPERATORS), str(OURSELVES)):
        return "closed or opened by hand; no source undoes a closing by hand"
    if order.patterns:
        return f"rule: {', '.join(order.patterns)}"
    return f"no rule; the usual order: {', '.join(SourceKind)}"


def _written(revision: Revision) -> Written:
    return Written(
        tuple(sorted(revision.changed)),
        tuple(sorted(revision.kept)),
        tuple(sorted(revision.conflicts)),
        dict(revision.conflicts),
    )


def _unchanged(revision: Revision) -> Written:
    """What was said before and is said again: nothing changes, and what is not in force still is not."""
    order_of = orders_at(timezone.now())
    kept, codes = [], {}
    for name in revision.statements:
        entries = revision.person.provenance.get(name, {})
        if revision.source in entries and find_winner(name, entries, order_of(name)) != revision.source:
            kept.append(name)
            if code := entries[revision.source].get("conflict"):
                codes[name] = code
    return Written((), tuple(sorted(kept)), tuple(sorted(codes)), codes)
