"""Clean-up of traces."""

from celery import shared_task
from django.utils import timezone

from broker.traces import services


@shared_task
def forget() -> int:
    """Delete the traces past their expiry. Returns how many."""
    return services.forget_expired(now=timezone.now())
