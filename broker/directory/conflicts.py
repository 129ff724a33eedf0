"""What operators decide of conflicts, and what becomes of them by themselves."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from django.db import transaction
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM, Actor
from broker.directory.identifiers import comparable
from broker.directory.models import AuthorityRule, Conflict, Identifier
from broker.directory.provenance import TAKEN
from broker.directory.revising import Revision, revise
from broker.directory.rules import Simulation, order_led_by, schedule_rule, simulate_rule
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record

State = Conflict.State
CHUNKS_PER_RUN = 20


class Decision(StrEnum):
    """What an operator decides: what is in force stays, or the source that lost shall win from a moment on."""

    KEEP = "keep"
    WIN = "win"


def simulate_winning(conflict: Conflict) -> Simulation:
    """What would become of everybody if the source of the conflict came first for its attribute.

    Raises BrokerError("authority.rule").
    """
    if conflict.code == TAKEN:
        raise BrokerError("authority.rule", expected="a conflict of sources", actual="an identifier of somebody else")
    return simulate_rule(conflict.attribute, order_led_by(conflict.source, conflict.attribute, now=timezone.now()))


@transaction.atomic
def resolve_conflict(
    conflict: Conflict,
    decision: Decision,
    *,
    actor: Actor,
    note: str = "",
    valid_from: datetime | None = None,
    expected: int | None = None,
) -> Conflict:
    """Decide what becomes of a conflict that stands; a new value of the source opens it again.

    To let the source win is a rule for everybody: see schedule_rule for `valid_from` and `expected`.
    Raises BrokerError: authority.conflict_over, authority.rule, authority.simulation.
    """
    held = Conflict.objects.select_for_update().get(pk=conflict.pk)
    if held.state == State.ENDED:
        raise BrokerError("authority.conflict_over", expected="a conflict that stands", actual="one that ended")
    room = Conflict._meta.get_field("note").max_length or 0
    if len(note) > room or "\x00" in note:
        raise BrokerError("authority.rule", expected=f"a note of at most {room} characters", actual=len(note))
    rule: AuthorityRule | None = None
    if decision is Decision.WIN:
        if held.code == TAKEN:
            raise BrokerError(
                "authority.rule", expected="a conflict of sources", actual="an identifier of somebody else"
            )
        sources = order_led_by(held.source, held.attribute, now=timezone.now())
        rule, _ = schedule_rule(
            held.attribute, sources, valid_from=valid_from, actor=actor, note=note, expected=expected
        )
    held.state = State.KEPT if rule is None else State.SCHEDULED
    held.rule, held.note = rule, note
    held.resolved_at, held.resolved_by = timezone.now(), f"{actor.kind}:{actor.identifier}"[:200]
    held.save(update_fields=["state", "rule", "note", "resolved_at", "resolved_by"])
    record(
        catalogue.CONFLICT_RESOLVED,
        actor=actor,
        subject=("person", held.person_id),
        code=held.code,
        attribute=held.attribute,
        source=held.source,
        decision=decision.value,
    )
    return held


def retry_taken() -> int:
    """Give identifiers that were somebody else's to those who waited, once they are free. Returns to how many."""
    last, given = 0, 0
    for _ in range(CHUNKS_PER_RUN):
        chunk = list(
            Conflict.objects.filter(code=TAKEN, pk__gt=last)
            .exclude(state=State.ENDED)
            .select_related("person")
            .order_by("pk")[: limits.DIRECTORY_CHUNK]
        )
        given += _retry(chunk)
        if len(chunk) < limits.DIRECTORY_CHUNK:
            break
        last = chunk[-1].pk
    return given


def _retry(conflicts: Sequence[Conflict]) -> int:
    forms = {(one.attribute, comparable(value)) for one in conflicts for value in one.values}
    if not forms:
        return 0
    rows = Identifier.objects.filter(comparable__in={form for _, form in forms}).order_by()
    taken = set(rows.values_list("kind", "comparable"))
    waiting: dict[object, Revision] = {}
    for conflict in conflicts:
        if not any((conflict.attribute, comparable(value)) in taken for value in conflict.values):
            revision = waiting.setdefault(conflict.person_id, Revision(conflict.person, "system", looked_at=[]))
            revision.looked_at = [*revision.looked_at, conflict.attribute]
    if waiting:
        revise(list(waiting.values()), evidence="", actor=SYSTEM, reason="an identifier is free")
    return sum(bool(revision.changed) for revision in waiting.values())
