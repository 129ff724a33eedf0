"""Retention of sessions."""

from celery import shared_task
from django.utils import timezone

from broker.sessions.services import forget_ended


@shared_task
def forget() -> int:
    """Delete sessions past their retention."""
    return forget_ended(now=timezone.now())
