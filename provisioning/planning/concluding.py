"""The end of a run: what it found becomes a plan or drift, or it says why nothing was compared."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from django.utils import timezone

from broker.actors import Actor
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from provisioning.outbound.models import Target
from provisioning.planning.comparing import Comparison
from provisioning.planning.comparing_groups import GroupComparison
from provisioning.planning.differing import Difference
from provisioning.planning.drifts import record_drift
from provisioning.planning.judging import judge, reading_of
from provisioning.planning.models import Drift, Run
from provisioning.planning.noting import note_absent
from provisioning.planning.plans import record_plan, record_unusable_plan
from provisioning.planning.staging import clear_stage

Outcome, Purpose = Run.Outcome, Run.Purpose
EMPTY = "inventory.empty"


def conclude(run: Run, target: Target, *, actor: Actor) -> None:
    """Compare, and end the run, in the caller's transaction. Raises BrokerError when it did not read everything."""
    judge(reading_of(run))
    now = timezone.now()
    found: Counter[str] = Counter()
    differences = chain(Comparison(run, target).differences(), GroupComparison(run, target).differences())
    chunks = _counted(differences, found)
    if run.purpose == Purpose.PLAN:
        counts = Counter(record_plan(run, target, chunks).counts)
        differs = sum(found.values())
    else:
        counts = record_drift(run, target, chunks, now=now)
        differs = sum(counts[kind] for kind in Drift.Kind.values)
        _tell_drift(run, target, counts, actor=actor)
    note_absent(run)
    clear_stage(run)
    run.checked = run.accounts + run.groups + found[Drift.Kind.MISSING]
    run.counts = {name: number for name, number in sorted(counts.items()) if number}
    outcome = Outcome.DRIFT if differs else Outcome.OK if run.checked else Outcome.NOTHING_CHECKED
    _end(run, outcome)
    event = catalogue.TARGET_NOT_COMPARED if outcome == Outcome.NOTHING_CHECKED else catalogue.TARGET_COMPARED
    _record(event, run, target, actor=actor)


def end_incomplete(run: Run, error: BrokerError, *, actor: Actor) -> None:
    """End a run that did not read everything. What it read is forgotten: nothing follows from a part."""
    clear_stage(run)
    run.code, run.detail = error.code, _reason(error)[:500]
    _end(run, Outcome.NOTHING_CHECKED if error.code == EMPTY else Outcome.INCOMPLETE)
    if run.purpose == Purpose.PLAN:
        record_unusable_plan(run, run.target)
    _record(catalogue.TARGET_NOT_COMPARED, run, run.target, actor=actor)


def _end(run: Run, outcome: Run.Outcome) -> None:
    run.outcome, run.stage, run.ended_at, run.lease = outcome, Run.Stage.ENDED, timezone.now(), ""
    run.save()


def _counted(chunks: Iterable[list[Difference]], found: Counter[str]) -> Iterator[list[Difference]]:
    for chunk in chunks:
        found.update(one.kind for one in chunk)
        if chunk:
            yield chunk


def _tell_drift(run: Run, target: Target, counts: Counter[str], *, actor: Actor) -> None:
    kinds = {kind: counts[kind] for kind in Drift.Kind.values if counts[kind]}
    for event, number in ((catalogue.DRIFT_FOUND, counts["new"]), (catalogue.DRIFT_REPAIRED, counts["repaired"])):
        if number:
            record(
                event,
                actor=actor,
                subject=("target", target.slug),
                application=target.application.slug,
                run=run.pk,
                number=number,
                standing=kinds,
            )


def _record(event: catalogue.EventType, run: Run, target: Target, *, actor: Actor) -> None:
    record(
        event,
        actor=actor,
        subject=("target", target.slug),
        application=target.application.slug,
        code=run.code,
        run=run.pk,
        purpose=run.purpose,
        outcome=run.outcome,
        checked=run.checked,
        pages=run.pages,
        rejected=run.rejected_count,
        counts=run.counts,
    )


def _reason(error: BrokerError) -> str:
    """What was expected and what came, where the check says so."""
    told = f"{error.expected} expected, {error.actual} came" if error.expected else error.actual
    return "; ".join(part for part in (error.detail, told) if part)
