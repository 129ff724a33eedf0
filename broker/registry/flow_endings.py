"""Telling of flows that come to their end, once at each of a few days before it."""

from datetime import datetime, timedelta

from django.db import transaction

from broker import limits
from broker.actors import Actor
from broker.events import catalogue
from broker.events.services import record
from broker.registry.models import Flow
from broker.registry.registering.flows import flow_key

ENDED = 0
"""In `Flow.told_days`: its end itself was told."""


def tell_endings(*, now: datetime, actor: Actor) -> int:
    """Write an event that names the owner, for each flow that came nearer to its end than it was told of last.

    Thresholds are `limits.FLOW_ENDING_DAYS` and the end. A threshold that was missed is told with the next one.
    Returns how many events were written.
    """
    horizon = (now + timedelta(days=max(limits.FLOW_ENDING_DAYS))).date()
    near = Flow.objects.filter(
        state=Flow.State.APPROVED, ended_at=None, expires__lte=horizon, client__retired_at=None
    ).exclude(told_days=ENDED)
    return sum(_tell(pk, now=now, actor=actor) for pk in near.order_by("expires", "pk").values_list("pk", flat=True))


@transaction.atomic
def _tell(pk: int, *, now: datetime, actor: Actor) -> bool:
    """Whether there was something to tell. The row is claimed, so that two workers do not both tell it."""
    flow = Flow.objects.select_related("client", "resource").filter(pk=pk).first()
    due = None if flow is None else _due(flow, now=now)
    if flow is None or due is None or (flow.told_days is not None and flow.told_days <= due):
        return False
    if not Flow.objects.filter(pk=pk, told_days=flow.told_days).update(told_days=due):
        return False
    record(
        catalogue.FLOW_ENDED if due == ENDED else catalogue.FLOW_ENDING,
        actor=actor,
        subject=("flow", flow.pk),
        flow=flow_key(flow),
        owner=flow.owner,
        last_day=str(flow.expires),
        days=due,
    )
    return True


def _due(flow: Flow, *, now: datetime) -> int | None:
    """The nearest threshold that was reached, in days; None before the first."""
    ends_at = flow.ends_at
    if ends_at is None:
        return None
    if now >= ends_at:
        return ENDED
    return min((days for days in limits.FLOW_ENDING_DAYS if ends_at - now <= timedelta(days=days)), default=None)
