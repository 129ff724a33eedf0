"""How often a target is reconciled and what may be done about its drift, as an operator decides."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from broker import limits
from broker.actors import Actor
from broker.events import catalogue
from broker.events.services import record
from broker.registry.values import BadValue
from provisioning.outbound.models import Target
from provisioning.planning.models import Watch


@transaction.atomic
def watch_target(target: Target, *, interval: timedelta, policy: Watch.Policy, actor: Actor) -> Watch:
    """Set it. Raises BadValue for an interval below limits.RECONCILE_INTERVAL_LEAST."""
    if interval < limits.RECONCILE_INTERVAL_LEAST:
        raise BadValue(f"a target is not read more often than every {limits.RECONCILE_INTERVAL_LEAST}")
    before = Watch.objects.select_for_update().filter(target=target).first()
    values = {
        "interval": interval,
        "policy": policy,
        "changed_by": f"{actor.kind}:{actor.identifier}"[:200],
        "changed_at": timezone.now(),
    }
    watch, _ = Watch.objects.update_or_create(target=target, defaults=values)
    record(
        catalogue.PARTY_CHANGED,
        actor=actor,
        subject=("target", target.slug),
        changed=["watch"],
        before={"interval": str(before.interval), "policy": before.policy} if before else {},
        after={"interval": str(interval), "policy": policy},
    )
    return watch
