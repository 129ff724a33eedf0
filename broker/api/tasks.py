"""Retention of stored answers."""

from celery import shared_task
from django.utils import timezone

from broker.api.idempotence import forget_answers


@shared_task
def forget() -> int:
    """Delete answers that were kept for their day."""
    return forget_answers(now=timezone.now())
