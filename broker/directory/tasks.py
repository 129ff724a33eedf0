"""Work of the directory that nobody waits for."""

from celery import shared_task
from django.utils import timezone

from broker.directory.conflicts import retry_taken
from broker.directory.groups import name_old_groups
from broker.directory.rules import apply_due_rules


@shared_task
def tend_authority() -> None:
    """Apply the rules that have begun, give away identifiers that became free, and name groups of before."""
    apply_due_rules(now=timezone.now())
    retry_taken()
    name_old_groups()
