"""Retention of codes, grants and refresh tokens."""

from celery import shared_task
from django.utils import timezone

from broker.tokens.pushed_requests import forget_pushed
from broker.tokens.services import forget_ended


@shared_task
def forget() -> int:
    """Delete codes, grants and pushed requests past their retention."""
    now = timezone.now()
    return forget_ended(now=now) + forget_pushed(now=now)
