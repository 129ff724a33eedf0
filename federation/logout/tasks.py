"""What the scheduler does for logouts."""

from celery import shared_task
from django.utils import timezone

from federation.logout import closing, reading


@shared_task
def tell_missed() -> int:
    """Tell the applications that joined a session in the moment of its end. Returns how many."""
    return reading.tell_missed(now=timezone.now())


@shared_task
def end_orphaned() -> int:
    """End the sessions of identity providers that were switched off. Returns how many."""
    return closing.end_orphaned()
