"""Pruning: settled deliveries past their retention go, with their attempts; dead ones wait for an operator."""

from datetime import datetime

from django.db import transaction

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.models import Attempt, Delivery
from broker.events.catalogue import DELIVERIES_PRUNED
from broker.events.services import record

KEPT_SHORTLY = (Delivery.State.CONFIRMED, Delivery.State.SKIPPED, Delivery.State.SUPERSEDED)


def prune(now: datetime) -> int:
    """Delete what was settled longer than `limits.DELIVERY_RETENTION` ago, in parts. Returns how many deliveries."""
    total = 0
    while deleted := _prune_chunk(now):
        total += deleted
    return total


@transaction.atomic
def _prune_chunk(now: datetime) -> int:
    old = Delivery.objects.filter(state__in=KEPT_SHORTLY, settled_at__lt=now - limits.DELIVERY_RETENTION)
    locked = old.order_by("settled_at").select_for_update(skip_locked=True)  # who else prunes takes others
    keys = list(locked.values_list("pk", flat=True)[: limits.DELIVERY_PRUNE_CHUNK])
    if not keys:
        return 0
    Attempt.objects.filter(delivery__in=keys).delete()
    deleted, _ = Delivery.objects.filter(pk__in=keys).delete()
    record(DELIVERIES_PRUNED, actor=SYSTEM, deliveries=deleted, first=min(keys), last=max(keys))
    return deleted
