"""Retention of login requests."""

from celery import shared_task
from django.utils import timezone

from federation.signon.services import forget_expired


@shared_task
def forget() -> int:
    """Delete sign-ons whose time is over."""
    return forget_expired(now=timezone.now())
