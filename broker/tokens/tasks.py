"""Retention of codes, grants and refresh tokens."""

from celery import shared_task
from django.utils import timezone

from broker.tokens.services import forget_ended


@shared_task
def forget() -> int:
    """Delete codes and grants past their retention."""
    return forget_ended(now=timezone.now())
