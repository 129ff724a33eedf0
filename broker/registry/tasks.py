"""What the scheduler does for the registry."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from broker.actors import SYSTEM
from broker.registry.credential_endings import tell_credential_endings
from broker.registry.credential_uses import forget_old_uses
from broker.registry.flow_endings import tell_endings
from broker.registry.registering.openid_providers import refresh_due_discoveries
from broker.registry.secret_rotation import end_unused_secrets
from broker.registry.workloads import rediscover_workloads


@shared_task
def refresh_discoveries() -> int:
    """Read OpenID providers' documents anew. Returns how many were good."""
    return refresh_due_discoveries(now=timezone.now(), actor=SYSTEM)


@shared_task
def reseal_secrets() -> int:
    """Seal what other sides gave us under the newest master key (settings.RESEALERS). Returns how many secrets."""
    return sum(import_string(name)() for name in settings.RESEALERS)


@shared_task
def tell_flow_endings() -> int:
    """Write events about flows that end soon, and about those that have. Returns how many."""
    return tell_endings(now=timezone.now(), actor=SYSTEM)


@shared_task
def tend_credentials() -> int:
    """End secrets whose successor has taken over, and tell of credentials that end. Returns how many were concerned."""
    now = timezone.now()
    ended = end_unused_secrets(now=now, actor=SYSTEM)
    told = tell_credential_endings(now=now, actor=SYSTEM)
    forget_old_uses(now=now)
    return ended + told


@shared_task
def refresh_workloads() -> int:
    """Read anew where the keys of workloads' platforms are. Returns how many clients changed."""
    return rediscover_workloads(actor=SYSTEM)
