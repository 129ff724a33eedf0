"""Clean-up of the journal."""

from celery import shared_task
from django.utils import timezone

from provisioning.inbound import journal


@shared_task
def forget() -> int:
    """Delete the entries past their retention. Returns how many."""
    return journal.forget_expired(now=timezone.now())
