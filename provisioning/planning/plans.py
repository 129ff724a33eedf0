"""Making a plan of what a run found: every difference is an operation before anything of it is sent."""

from collections import Counter
from collections.abc import Iterable

from django.utils import timezone

from provisioning.outbound.models import Target
from provisioning.planning.differing import Difference
from provisioning.planning.models import Operation, Plan, Run

OPEN = (Plan.State.READY, Plan.State.INCOMPLETE)
DESTRUCTIVE = (Operation.Action.DISABLE, Operation.Action.DELETE)


def record_plan(run: Run, target: Target, chunks: Iterable[list[Difference]]) -> Plan:
    """The plan with its operations; the target's older plans that wait are replaced."""
    now = timezone.now()
    Plan.objects.filter(target=target, state__in=OPEN).update(state=Plan.State.REPLACED)
    plan = Plan.objects.create(run=run, target=target, state=Plan.State.READY, made_at=now, made_by=run.started_by)
    counts: Counter[str] = Counter()
    for chunk in chunks:
        Operation.objects.bulk_create([_operation(plan, one) for one in chunk])
        counts.update(one.action for one in chunk)
        counts["destructive"] += sum(one.weight for one in chunk)
    plan.counts = {name: number for name, number in counts.items() if number}
    plan.save(update_fields=["counts"])
    return plan


def record_unusable_plan(run: Run, target: Target) -> Plan:
    """The plan of a run that did not read everything: it says so, and nothing of it can be applied."""
    return Plan.objects.create(
        run=run,
        target=target,
        state=Plan.State.INCOMPLETE,
        made_at=timezone.now(),
        made_by=run.started_by,
    )


def _operation(plan: Plan, one: Difference) -> Operation:
    return Operation(
        plan=plan,
        action=one.action,
        person_id=one.person_id,
        group_uid=one.group_uid,
        remote_id=one.remote_id,
        title=one.title,
        differences=dict(one.differences),
        weight=one.weight,
        state=Operation.State.SKIPPED if one.action == Operation.Action.NONE else Operation.State.PLANNED,
        reason=one.reason[:300],
    )
