"""What the console need not keep."""

from axes.models import AccessAttempt
from celery import shared_task
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from broker import limits


@shared_task
def forget() -> int:
    """Delete ended console sessions, and failures that no lockout counts any more. Returns how many of the latter."""
    SessionStore.clear_expired()
    count: int = AccessAttempt.objects.filter(attempt_time__lt=timezone.now() - limits.OPERATOR_LOCKOUT).delete()[0]
    return count
