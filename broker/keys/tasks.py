"""What the scheduler does for our keys."""

from celery import shared_task
from django.utils import timezone

from broker.actors import SYSTEM
from broker.keys import remote, services


@shared_task
def rotate_keys() -> int:
    """Move every key on whose time has come. Returns how many began to sign."""
    return len(services.rotate(now=timezone.now(), actor=SYSTEM))


@shared_task
def forget_remote_keys() -> int:
    """Delete key sets of issuers that nobody uses any more, retired ones among them. Returns how many."""
    return remote.forget_unused(now=timezone.now())
