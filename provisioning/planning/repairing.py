"""Repairing drift: what is ours is sent again, through the ledger and under the breaker.

Nothing is touched that nobody of ours explains, and nothing counts as repaired before a later read shows it.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet, Sum

from broker import limits
from broker.actors import Actor
from broker.delivery.models import Priority
from provisioning.outbound.breaker import hold_for, is_too_many
from provisioning.outbound.models import Target
from provisioning.outbound.services import request_group_sync, request_sync
from provisioning.planning.differing import Kind
from provisioning.planning.drifts import under_way
from provisioning.planning.models import Drift, Run, Watch

SHRUNKEN = "inventory.shrunken"


def policy_of(target: Target) -> Watch.Policy:
    """What may be done about drift at this target."""
    watch = Watch.objects.filter(target=target).first()
    return Watch.Policy(watch.policy) if watch is not None else Watch.Policy.REPAIR


def repair(run: Run, target: Target, *, actor: Actor, now: datetime) -> int:
    """Send again what this run saw differing, where the target's policy allows it. Returns how many repairs were asked.

    When more accounts are missing than the target may lose, none is made anew: that is for a plan that somebody reads.
    """
    if policy_of(target) != Watch.Policy.REPAIR or not target.is_in_use:
        return 0
    drifts = Drift.objects.filter(target=target, last_run=run, repaired_at=None, touches=True)
    drifts = drifts.exclude(repair=Drift.Repair.REFUSED).exclude(kind=Kind.SHADOW)
    missing = drifts.filter(kind=Kind.MISSING)
    if is_too_many(target, missing.count(), accounts=run.known):
        Run.objects.filter(pk=run.pk).update(code=SHRUNKEN, detail=f"{missing.count()} accounts are missing")
        drifts = drifts.exclude(kind=Kind.MISSING)
    asked = _in_chunks(target, run, drifts.filter(weight=0), hold="", priority=Priority.NORMAL, actor=actor, now=now)
    losing = drifts.filter(weight__gt=0)
    with transaction.atomic():
        weight = losing.aggregate(total=Sum("weight"))["total"] or 0
        hold = hold_for(target, destructive=weight, now=now)
        asked += _in_chunks(target, run, losing, hold=hold, priority=Priority.URGENT, actor=actor, now=now)
    return asked


def _in_chunks(
    target: Target, run: Run, drifts: QuerySet[Drift], *, hold: str, priority: Priority, actor: Actor, now: datetime
) -> int:
    asked = last = 0
    while chunk := list(drifts.filter(pk__gt=last).order_by("pk")[: limits.PLAN_CHUNK]):
        last = chunk[-1].pk
        awaited = under_way(target, [one.key for one in chunk])
        asked += _ask(
            target,
            run,
            [one for one in chunk if one.key not in awaited],
            hold=hold,
            priority=priority,
            actor=actor,
            now=now,
        )
    return asked


@transaction.atomic
def _ask(
    target: Target,
    run: Run,
    drifts: Sequence[Drift],
    *,
    hold: str,
    priority: Priority,
    actor: Actor,
    now: datetime,
) -> int:
    reference = f"run:{run.pk}"
    people = [one.person_id for one in drifts if one.person_id is not None]
    groups = [one.group_uid for one in drifts if one.group_uid is not None]
    if people:
        request_sync(target, people, priority=priority, actor=actor, reference=reference, hold=hold, force=True)
    if groups:
        request_group_sync(target, groups, priority=priority, actor=actor, reference=reference, hold=hold)
    Drift.objects.filter(pk__in=[one.pk for one in drifts]).update(
        repair=Drift.Repair.HELD if hold else Drift.Repair.SENT, repair_asked_at=now, hold=hold
    )
    return len(drifts)
