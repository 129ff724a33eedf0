"""When targets are reconciled, and carrying their runs on in slices."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Max, Q
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM, Actor
from broker.errors import BrokerError
from provisioning.outbound.models import Target
from provisioning.planning.models import Plan, Run, Watch
from provisioning.planning.repairing import repair
from provisioning.planning.runs import LeaseLost, Tell, start_run, work_on


def reconcile(target: Target, *, actor: Actor, tell: Tell | None = None) -> Run:
    """One reconciliation from its beginning to its end, with the repairs that the target's policy allows.

    Raises BrokerError: run.target_idle, run.under_way.
    """
    run = start_run(target, purpose=Run.Purpose.RECONCILE, actor=actor)
    return carry_on(run, actor=actor, tell=tell)


def make_plan(target: Target, *, actor: Actor, tell: Tell | None = None) -> Plan:
    """Read the target and plan what is to be done there; nothing is sent. Raises BrokerError as `reconcile` does."""
    run = start_run(target, purpose=Run.Purpose.PLAN, actor=actor)
    return Plan.objects.get(run=carry_on(run, actor=actor, tell=tell))


def carry_on(run: Run, *, actor: Actor, until: datetime | None = None, tell: Tell | None = None) -> Run:
    """Work on a run until it ends or until about `until`; when a reconciliation ends, repairs are asked for.

    Raises LeaseLost while another process works on it.
    """
    run = work_on(run, actor=actor, until=until, tell=tell)
    if run.outcome == Run.Outcome.DRIFT and run.purpose == Run.Purpose.RECONCILE:
        repair(run, run.target, actor=actor, now=timezone.now())
        run.refresh_from_db()
    return run


def start_due(*, now: datetime) -> list[int]:
    """Begin what is due and take up what nobody works on. Returns the runs to be carried on."""
    untaken = Q(lease="", began_at__lte=now - limits.RUN_UNTAKEN)
    waiting = Run.objects.filter(untaken | Q(lease_until__lte=now), ended_at=None)
    due = waiting.filter(Q(resume_at=None) | Q(resume_at__lte=now))
    found = list(due.values_list("pk", flat=True))
    for target in _due(now=now):
        try:
            found.append(start_run(target, purpose=Run.Purpose.RECONCILE, actor=SYSTEM).pk)
        except BrokerError:
            # Somebody began one meanwhile.
            continue
    return found


def carry_slice(run_id: int) -> bool:
    """One slice of a run. Returns whether there is more to do."""
    run = Run.objects.filter(pk=run_id, ended_at=None).first()
    if run is None:
        return False
    try:
        run = carry_on(run, actor=SYSTEM, until=timezone.now() + limits.RUN_SLICE)
    except LeaseLost:
        return False
    return run.stage != Run.Stage.ENDED and run.resume_at is None


def interval_of(target: Target) -> timedelta:
    """From the beginning of one reconciliation to the next."""
    watch = Watch.objects.filter(target=target).first()
    return watch.interval if watch is not None else limits.RECONCILE_INTERVAL


def last_began(target: Target) -> datetime | None:
    """When the last reconciliation began, however it ended."""
    runs = Run.objects.filter(target=target, purpose=Run.Purpose.RECONCILE)
    last: datetime | None = runs.aggregate(last=Max("began_at"))["last"]
    return last


def _due(*, now: datetime) -> Iterable[Target]:
    targets = Target.objects.filter(enabled=True, retired_at=None).exclude(runs__ended_at=None, runs__isnull=False)
    for target in targets.order_by("pk"):
        last = last_began(target)
        if last is None or last + interval_of(target) <= now:
            yield target
