"""Changing which sources speak for an attribute: simulated over everybody first, then dated, then applied in chunks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.fields.json import KeyTransform
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM, Actor
from broker.directory.attributes import ACTIVE, IDENTIFIERS, TRUE, Values, check_name
from broker.directory.models import AuthorityRule, Conflict, Identifier, Person
from broker.directory.orders import Orders, orders_at
from broker.directory.provenance import Order, Told, find_winner, said
from broker.directory.revising import Revision, current_values, revise
from broker.directory.sources import ALL, OPERATORS, SourceKind, read_pattern
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.registry.cache import raise_version
from broker.registry.values import BadValue

State = AuthorityRule.State
CHUNKS_PER_RUN = 60
"""Of `limits.DIRECTORY_CHUNK` people each; the next run goes on."""
_READ = 2_000
"""People of whom a simulation reads at once."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Somebody whom a rule would change. The values are personal."""

    person: UUID
    name: str
    before: Values
    after: Values
    winner: str
    """The source that would be in force; "" for none."""


@dataclass(slots=True)
class Simulation:
    """What a rule would do. `checked` are people of whom any source tells the attribute: 0 of them prove nothing."""

    attribute: str
    sources: tuple[str, ...]
    checked: int = 0
    changed: int = 0
    emptied: int = 0
    """Of those who change, how many would have no value any more; of `active`, how many accounts would close."""
    samples: list[Sample] = field(default_factory=list)

    @property
    def is_conclusive(self) -> bool:
        """Whether anybody was there to be checked."""
        return self.checked > 0


def simulate_rule(attribute: str, sources: Sequence[str]) -> Simulation:
    """What would become of everybody if these sources spoke for the attribute, the best first; nothing is written.

    No sources: the usual order. Raises BrokerError("authority.rule").
    """
    attribute, patterns = check_rule(attribute, sources)
    simulation = Simulation(attribute, patterns)
    order = Order(patterns)
    for person, entries, current in _told_of(attribute):
        simulation.checked += 1
        winner, after = _outcome(attribute, entries, order, current)
        if after == current:
            continue
        simulation.changed += 1
        simulation.emptied += after != TRUE if attribute == ACTIVE else not after
        if len(simulation.samples) < limits.AUTHORITY_SAMPLES:
            simulation.samples.append(Sample(person.pk, person.name, current, after, winner or ""))
    return simulation


def schedule_rule(
    attribute: str,
    sources: Sequence[str],
    *,
    valid_from: datetime | None = None,
    actor: Actor,
    note: str = "",
    expected: int | None = None,
) -> tuple[AuthorityRule, Simulation]:
    """Let these sources speak for the attribute from a moment on, at once when none is named.

    It is simulated here once more: `expected` is how many people change by the simulation that was looked at, and a
    different number refuses the rule. Raises BrokerError: authority.rule, authority.simulation.
    """
    now = timezone.now()
    begins = max(valid_from or now, now)
    if valid_from is not None and valid_from < now - timedelta(minutes=1):
        raise BrokerError("authority.rule", expected="a moment that is still to come", actual=valid_from.isoformat())
    if begins > now + limits.AUTHORITY_AHEAD:
        raise BrokerError("authority.rule", expected="a moment within a year", actual=begins.isoformat())
    if len(note) > _NOTE_CHARS or "\x00" in note:
        raise BrokerError("authority.rule", expected=f"a note of at most {_NOTE_CHARS} characters", actual=len(note))
    simulation = simulate_rule(attribute, sources)
    if expected is not None and expected != simulation.changed:
        raise BrokerError("authority.simulation", expected=expected, actual=simulation.changed)
    with transaction.atomic():
        rule = AuthorityRule.objects.create(
            attribute=simulation.attribute,
            sources=list(simulation.sources),
            valid_from=begins,
            created_at=now,
            created_by=f"{actor.kind}:{actor.identifier}"[:200],
            note=note,
        )
        record(
            catalogue.AUTHORITY_SCHEDULED,
            actor=actor,
            subject=("authority_rule", rule.pk),
            attribute=rule.attribute,
            sources=rule.sources,
            valid_from=begins.isoformat(),
            checked=simulation.checked,
            changes=simulation.changed,
        )
        raise_version()
    return rule, simulation


@transaction.atomic
def withdraw_rule(rule: AuthorityRule, *, actor: Actor) -> AuthorityRule:
    """Take a rule back before it begins; conflicts that it would have ended are open again.

    Raises BrokerError("authority.rule") when it has begun.
    """
    held = AuthorityRule.objects.select_for_update().get(pk=rule.pk)
    if held.state == State.WITHDRAWN:
        return held
    if held.state != State.SCHEDULED or held.valid_from <= timezone.now():
        raise BrokerError("authority.rule", expected="a rule that has not begun", actual=held.get_state_display())
    held.state = State.WITHDRAWN
    held.save(update_fields=["state"])
    Conflict.objects.filter(rule=held, state=Conflict.State.SCHEDULED).update(
        state=Conflict.State.OPEN, rule=None, resolved_at=None, resolved_by=""
    )
    record(catalogue.AUTHORITY_WITHDRAWN, actor=actor, subject=("authority_rule", held.pk), attribute=held.attribute)
    raise_version()
    return held


def apply_due_rules(*, now: datetime) -> int:
    """Apply the rules that have begun to everybody, a bounded number of chunks at a time; what is left comes next.

    A rule counts for every write from its moment on, here or not. Returns how many people changed.
    """
    # Every process has seen a rule of that age: none of them goes on by the order of before behind the cursor.
    begun = now - 2 * limits.REGISTRY_POLL_INTERVAL
    changed, chunks = 0, 0
    for key in (
        AuthorityRule.objects.filter(state__in=[State.SCHEDULED, State.APPLYING], valid_from__lte=begun)
        .order_by("valid_from", "pk")
        .values_list("pk", flat=True)
    ):
        is_done = False
        while not is_done:
            if chunks >= CHUNKS_PER_RUN:
                return changed
            is_done, count = _apply_chunk(key)
            chunks, changed = chunks + 1, changed + count
    return changed


def check_rule(attribute: str, sources: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The attribute and its sources as they are kept. Raises BrokerError("authority.rule")."""
    check_name(attribute)
    if len(sources) > limits.AUTHORITY_SOURCES:
        raise BrokerError("authority.rule", expected=f"at most {limits.AUTHORITY_SOURCES} sources", actual=len(sources))
    try:
        patterns = tuple(read_pattern(source) for source in sources)
    except BadValue as error:
        raise BrokerError("authority.rule", detail=str(error), expected="sources", actual=str(error)) from error
    if len(set(patterns)) < len(patterns):
        raise BrokerError("authority.rule", expected="each source once", actual=", ".join(patterns)[:200])
    return attribute, patterns


def order_led_by(source: str, attribute: str, *, now: datetime) -> list[str]:
    """The sources of an attribute as they are, with this one before them."""
    patterns = orders_at(now)(attribute).patterns or (
        f"{SourceKind.SCIM}:{ALL}",
        f"{SourceKind.CSV}:{ALL}",
        str(OPERATORS),
        f"{SourceKind.IDP}:{ALL}",
    )
    return [source, *(pattern for pattern in patterns if pattern != source)]


def _apply_chunk(key: int) -> tuple[bool, int]:
    """Find the winners of the next people anew. Returns whether these were the last, and how many changed."""
    with transaction.atomic():
        rule = AuthorityRule.objects.select_for_update().get(pk=key)
        if rule.state not in (State.SCHEDULED, State.APPLYING):
            return True, 0
        now = timezone.now()
        people = Person.objects.filter(provenance__has_key=rule.attribute).order_by("pk")
        if rule.cursor is not None:
            people = people.filter(pk__gt=rule.cursor)
        chunk = list(people[: limits.DIRECTORY_CHUNK])
        source = f"rule:{rule.pk}"
        revisions = _stale(chunk, rule.attribute, source, orders_at(now))
        if revisions:
            revise(revisions, evidence=source, actor=SYSTEM, reason=f"the rule of authority {rule.pk}")
        changed = sum(bool(revision.changed) for revision in revisions)
        is_last = len(chunk) < limits.DIRECTORY_CHUNK
        rule.state = State.APPLIED if is_last else State.APPLYING
        rule.cursor = chunk[-1].pk if chunk else rule.cursor
        rule.checked, rule.changed = rule.checked + len(chunk), rule.changed + changed
        rule.applied_at = now if is_last else None
        rule.save(update_fields=["state", "cursor", "checked", "changed", "applied_at"])
        if is_last:
            record(
                catalogue.AUTHORITY_APPLIED,
                actor=SYSTEM,
                subject=("authority_rule", rule.pk),
                attribute=rule.attribute,
                checked=rule.checked,
                changed=rule.changed,
            )
    return is_last, changed


def _stale(people: Sequence[Person], attribute: str, source: str, order_of: Orders) -> list[Revision]:
    """Those who are not what the order says, or whose conflicts may have ended by it."""
    held = _identifiers(people, attribute)
    found = []
    for person in people:
        entries: dict[str, Told] = person.provenance[attribute]
        current = current_values(person, attribute, held.get(person.pk, {}))
        _, after = _outcome(attribute, entries, order_of(attribute), current)
        if after != current or any("conflict" in told for told in entries.values()):
            found.append(Revision(person, source, looked_at=[attribute]))
    return found


def _outcome(attribute: str, entries: dict[str, Told], order: Order, current: Values) -> tuple[str | None, Values]:
    winner = find_winner(attribute, entries, order)
    return winner, current if winner is None and attribute == ACTIVE else said(entries, winner)


def _told_of(attribute: str) -> Iterator[tuple[Person, dict[str, Told], Values]]:
    """Everybody of whom any source tells the attribute, with what they say and what is in force."""
    last: UUID | None = None
    while True:
        rows = Person.objects.filter(provenance__has_key=attribute).order_by("pk")
        if last is not None:
            rows = rows.filter(pk__gt=last)
        # One attribute out of the two columns of JSON: the whole of them would be most of the work.
        found: list[Any] = list(
            rows.defer("provenance", "claims").annotate(
                told=KeyTransform(attribute, F("provenance")), claim=KeyTransform(attribute, F("claims"))
            )[:_READ]
        )
        held = _identifiers(found, attribute)
        for person in found:
            person.claims = {attribute: person.claim or []}
            yield person, person.told, current_values(person, attribute, held.get(person.pk, {}))
        if len(found) < _READ:
            return
        last = found[-1].pk


def _identifiers(people: Sequence[Person], attribute: str) -> dict[UUID, dict[str, str]]:
    if attribute not in IDENTIFIERS or not people:
        return {}
    rows = Identifier.objects.filter(person__in=people, kind=attribute).order_by()
    return {key: {attribute: value} for key, value in rows.values_list("person_id", "value")}


_NOTE_CHARS: int = AuthorityRule._meta.get_field("note").max_length or 0
