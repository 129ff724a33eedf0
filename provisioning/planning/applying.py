"""Applying a plan: its operations become rows of the ledger, the destructive ones under the breaker's hold."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from broker import limits
from broker.actors import Actor, ActorKind
from broker.approvals.humans import is_operator
from broker.delivery.models import Priority
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from provisioning.outbound.breaker import hold_for
from provisioning.outbound.models import Hold, Target
from provisioning.outbound.services import request_group_sync, request_sync
from provisioning.planning.models import Operation, Plan
from provisioning.planning.releasing import ask_release

log = structlog.get_logger(__name__)
State = Plan.State
Tell = Callable[[Plan, int], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question whether a plan may be applied now."""

    plan: Plan
    target: Target
    now: datetime


def check_target_in_use(asked: Asked) -> None:
    """Nothing is sent to a target that is switched off."""
    if not asked.target.is_in_use:
        raise BrokerError("run.target_idle", actual=asked.target.slug)


def check_complete(asked: Asked) -> None:
    """The run read everything."""
    if asked.plan.state == State.INCOMPLETE:
        raise BrokerError("plan.incomplete", actual=asked.plan.run.code)


def check_not_replaced(asked: Asked) -> None:
    """No newer plan stands."""
    if asked.plan.state == State.REPLACED:
        raise BrokerError("plan.outdated", actual="a newer plan was made")


def check_not_applied(asked: Asked) -> None:
    """Nobody applied it; one whose process was killed while applying it may be taken up."""
    plan = asked.plan
    is_taken = plan.state == State.APPLYING and plan.lease_until is not None and asked.now < plan.lease_until
    if plan.state == State.APPLIED or is_taken:
        raise BrokerError("plan.applied", actual=plan.get_state_display())


def check_not_outdated(asked: Asked) -> None:
    """What it showed was read lately. One that is being applied goes on."""
    end = asked.plan.made_at + limits.PLAN_LIFETIME
    if asked.plan.state == State.READY and asked.now >= end:
        raise BrokerError("plan.outdated", expected=f"applied before {end:%Y-%m-%d %H:%M} UTC", actual=asked.now)


Check = Callable[[Asked], None]
CHECKS: tuple[Check, ...] = (
    check_target_in_use,
    check_complete,
    check_not_replaced,
    check_not_applied,
    check_not_outdated,
)


def apply_plan(plan: Plan, *, actor: Actor, until: datetime | None = None, tell: Tell | None = None) -> Plan:
    """Hand every operation to the ledger. What was handed over before a kill is not handed over again.

    What closes or deletes too many accounts waits under a hold; an operator's application asks for its release at
    once. `tell` is called with the number of operations handed over so far. After `until` it stops as APPLYING, and
    whoever calls it again goes on. Raises BrokerError, the code of a check.
    """
    plan = _begin(plan, actor=actor)
    done = 0
    while number := _hand_over(plan, actor=actor):
        done += number
        if tell is not None:
            tell(plan, done)
        if until is not None and timezone.now() >= until:
            Plan.objects.filter(pk=plan.pk, lease=plan.lease).update(lease="", lease_until=timezone.now())
            return plan
    return _finish(plan, actor=actor)


def applying_actor(plan: Plan) -> Actor:
    """Who let the plan be applied, for a process that goes on with it."""
    kind, _, identifier = plan.applied_by.partition(":")
    return Actor(ActorKind(kind), identifier, trace_id=plan.run.trace_id)


def unfinished_plans(*, now: datetime) -> list[int]:
    """Plans that are being applied and that nobody works on."""
    return list(Plan.objects.filter(state=State.APPLYING, lease_until__lte=now).values_list("pk", flat=True))


@transaction.atomic
def _begin(plan: Plan, *, actor: Actor) -> Plan:
    plan = Plan.objects.select_for_update(of=("self",)).select_related("run", "target__application").get(pk=plan.pk)
    now = timezone.now()
    asked = Asked(plan, plan.target, now)
    for check in CHECKS:
        check(asked)
    if plan.state == State.READY:
        weight = plan.operations.aggregate(total=Sum("weight"))["total"] or 0
        plan.hold = hold_for(plan.target, destructive=weight, now=now)
        plan.applied_by = f"{actor.kind}:{actor.identifier}"[:200]
    plan.state, plan.lease = State.APPLYING, secrets.token_hex(16)
    plan.lease_until = now + limits.RUN_LEASE
    plan.save(update_fields=["state", "lease", "lease_until", "hold", "applied_by"])
    return plan


@transaction.atomic
def _hand_over(plan: Plan, *, actor: Actor) -> int:
    """The next chunk. Returns how many operations it was."""
    held = Plan.objects.filter(pk=plan.pk, state=State.APPLYING, lease=plan.lease)
    if not held.update(lease_until=timezone.now() + limits.RUN_LEASE):
        raise BrokerError("plan.applied", actual="another process applies it")
    planned = plan.operations.filter(state=Operation.State.PLANNED)
    chunk = list(planned.order_by("id")[: limits.PLAN_CHUNK])
    closing = [one for one in chunk if one.weight]
    _send(plan, [one for one in chunk if not one.weight], priority=Priority.BULK, hold="", actor=actor)
    _send(plan, closing, priority=Priority.URGENT, hold=plan.hold, actor=actor)
    return len(chunk)


def _send(plan: Plan, operations: Sequence[Operation], *, priority: Priority, hold: str, actor: Actor) -> None:
    if not operations:
        return
    reference = f"plan:{plan.pk}"
    people = [one.person_id for one in operations if one.person_id is not None]
    groups = [one.group_uid for one in operations if one.group_uid is not None]
    if people:
        request_sync(plan.target, people, priority=priority, actor=actor, reference=reference, hold=hold, force=True)
    if groups:
        request_group_sync(plan.target, groups, priority=priority, actor=actor, reference=reference, hold=hold)
    state = Operation.State.HELD if hold else Operation.State.ENQUEUED
    Operation.objects.filter(pk__in=[one.pk for one in operations]).update(state=state)


def _finish(plan: Plan, *, actor: Actor) -> Plan:
    with transaction.atomic():
        plan.state, plan.applied_at = State.APPLIED, timezone.now()
        plan.lease, plan.lease_until = "", None
        plan.save(update_fields=["state", "applied_at", "lease", "lease_until"])
        record(
            catalogue.PLAN_APPLIED,
            actor=actor,
            subject=("plan", plan.pk),
            application=plan.target.application.slug,
            target=plan.target.slug,
            counts=plan.counts,
            sent=plan.operations.filter(state=Operation.State.ENQUEUED).count(),
            held=plan.operations.filter(state=Operation.State.HELD).count(),
            hold=plan.hold,
        )
    if plan.hold and is_operator(actor):
        _ask(plan, actor=actor)
    return plan


def _ask(plan: Plan, *, actor: Actor) -> None:
    """The release of what is held, in the name of who applied it. What waits already goes on waiting."""
    try:
        ask_release(Hold.objects.get(name=plan.hold), actor=actor)
    except BrokerError as error:
        log.info("plan.release_not_asked", plan=plan.pk, code=error.code)
