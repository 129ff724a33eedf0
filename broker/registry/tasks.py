"""What the scheduler does for the registry."""

from celery import shared_task
from django.utils import timezone

from broker.actors import SYSTEM
from broker.registry.flow_endings import tell_endings
from broker.registry.registering.openid_providers import refresh_due_discoveries
from broker.registry.upstream_secrets import reseal_upstream_secrets


@shared_task
def refresh_discoveries() -> int:
    """Read OpenID providers' documents anew, and seal their secrets under the newest master key.

    Returns how many documents were good.
    """
    reseal_upstream_secrets()
    return refresh_due_discoveries(now=timezone.now(), actor=SYSTEM)


@shared_task
def tell_flow_endings() -> int:
    """Write events about flows that end soon, and about those that have. Returns how many."""
    return tell_endings(now=timezone.now(), actor=SYSTEM)
