"""What wakes the ledger. A message that comes twice, late or never does no harm."""

from celery import shared_task
from django.utils import timezone

from broker.delivery import carrying, pruning, sweeping


@shared_task
def carry(lane: str) -> int:
    """Deliver what is due in one lane, for one slice of time. Returns how many rows were tried."""
    return carrying.carry(lane)


@shared_task
def sweep() -> int:
    """Take back what dead carriers hold, and wake the lanes that have something due. Returns how many."""
    return sweeping.sweep()


@shared_task
def prune() -> int:
    """Delete settled deliveries past their retention. Returns how many."""
    return pruning.prune(timezone.now())
