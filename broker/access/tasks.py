"""Clean-up of decisions."""

from celery import shared_task
from django.utils import timezone

from broker.access import decisions


@shared_task
def forget() -> int:
    """Delete the decisions past their retention. Returns how many."""
    return decisions.forget_expired(now=timezone.now())
