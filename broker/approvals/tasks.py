"""What the scheduler does for approvals."""

from celery import shared_task
from django.utils import timezone

from broker.approvals.services import expire_due


@shared_task
def expire() -> int:
    """Close what waited too long for a second operator. Returns how many."""
    return expire_due(now=timezone.now())
