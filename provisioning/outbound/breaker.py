"""The breaker: too many disables and deletions of one target within an hour wait for a second operator.

It does not ask why they came: an empty file of the HR system, a rule of scope with a slip and a plan look the same.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import F, Max, Sum

from broker import limits
from broker.actors import SYSTEM
from broker.events import catalogue
from broker.events.services import record
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.outbound.models.hold import Destruction, Hold

STANDING = (RemoteAccount.State.PRESENT, RemoteAccount.State.DISABLED)


@transaction.atomic
def hold_for(target: Target, *, destructive: int, now: datetime) -> str:
    """The hold under which `destructive` more disables and deletions of this target have to wait; "" when they may go.

    They wait when, with those that went within limits.BREAKER_WINDOW, they are more than the target's count, or more
    than its share of the accounts there, or all of them. Up to limits.BREAKER_SMALLEST always go, so that a single
    leaver never waits. While a hold is open, all that follow join it. The caller enqueues in the same transaction.
    """
    if destructive <= 0:
        return ""
    # One decision at a time about one target: two that are small enough each may be too many together.
    target = Target.objects.select_for_update(of=("self",), no_key=True).get(pk=target.pk)
    if Hold.objects.filter(target=target, state=Hold.State.OPEN).update(count=F("count") + destructive):
        return Hold.objects.values_list("name", flat=True).get(target=target, state=Hold.State.OPEN)
    gone = Destruction.objects.filter(target=target, at__gt=now - limits.BREAKER_WINDOW)
    counted = gone.aggregate(total=Sum("count"))["total"] or 0
    accounts = RemoteAccount.objects.filter(target=target, state__in=STANDING).count()
    if not is_too_many(target, counted + destructive, accounts=accounts):
        Destruction.objects.filter(target=target, at__lte=now - limits.BREAKER_WINDOW).delete()
        Destruction.objects.create(target=target, at=now, count=destructive)
        return ""
    return _open(target, destructive, counted=counted, accounts=accounts, now=now).name


def is_too_many(target: Target, destructive: int, *, accounts: int) -> bool:
    """Whether so many disables and deletions within the hour are more than the target may lose unasked."""
    if destructive <= limits.BREAKER_SMALLEST:
        return False
    return destructive > target.breaker_count or destructive > target.breaker_share * accounts


def _open(target: Target, destructive: int, *, counted: int, accounts: int, now: datetime) -> Hold:
    number = (Hold.objects.filter(target=target).aggregate(last=Max("number"))["last"] or 0) + 1
    hold = Hold.objects.create(
        target=target,
        name=f"breaker:{target.slug}:{number}",
        number=number,
        count=destructive,
        counted=counted,
        accounts=accounts,
        opened_at=now,
    )
    record(
        catalogue.BREAKER_TRIPPED,
        actor=SYSTEM,
        subject=("hold", hold.pk),
        application=target.application.slug,
        target=target.slug,
        count=destructive,
        within_the_hour=counted,
        accounts=accounts,
    )
    return hold
