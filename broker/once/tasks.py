"""Clean-up of used values."""

from celery import shared_task
from django.utils import timezone

from broker.once import services


@shared_task
def forget() -> int:
    """Forget the values that nobody could present any more. Returns how many."""
    return services.forget_expired(now=timezone.now())
