"""What the scheduler does for leavers; the bell rings the first one sooner."""

from celery import shared_task
from django.utils import timezone

from provisioning.leaver import retention, settling


@shared_task
def settle() -> int:
    """Look at every case whose time has come. Returns how many."""
    return settling.settle_due(now=timezone.now())


@shared_task
def forget() -> int:
    """Delete cases past their retention. Returns how many."""
    return retention.forget_cases(now=timezone.now())
