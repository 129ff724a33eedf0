"""What should be at a target, brought up to date: an event that was lost must not stay lost."""

from collections.abc import Iterator
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from broker import limits
from broker.directory.models import Person
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.outbound.scope import people_of
from provisioning.outbound.services import kept_groups, refresh_groups, refresh_wanted

_AIMS = {
    Target.LeaverPolicy.DEACTIVATE: RemoteAccount.Aim.DISABLED,
    Target.LeaverPolicy.DELETE: RemoteAccount.Aim.GONE,
    Target.LeaverPolicy.KEEP: RemoteAccount.Aim.LEFT,
}


def bring_up_to_date(target: Target) -> Iterator[int]:
    """Work out anew what is wanted of whoever changed since it was last worked out. Yields people looked at so far."""
    looked_at = 0
    for ids in _chunks_outdated(target):
        refresh_wanted(target, ids)
        looked_at += len(ids)
        yield looked_at
    refresh_groups(target, [group.uid for group in kept_groups(target) if group.uid is not None])


def _chunks_outdated(target: Target) -> Iterator[list[UUID]]:
    """People in chunks, each once: a person whose account cannot be worked out must not hold up the rest."""
    for people in (_changed(target), _new(target)):
        last: UUID | None = None
        while True:
            later = people.filter(pk__gt=last) if last else people
            ids = list(later.order_by("pk").values_list("pk", flat=True)[: limits.PLAN_CHUNK])
            if not ids:
                break
            last = ids[-1]
            yield ids


def _belonging(target: Target) -> Q:
    return Q(Exists(people_of(target.scope).filter(pk=OuterRef("person"), is_active=True)))


def _changed(target: Target) -> QuerySet[Person]:
    """Those with an account row that was worked out for an older version of them, of the mapping or of the scope."""
    present = Q(aim=RemoteAccount.Aim.PRESENT)
    policy = Q(aim=_AIMS[Target.LeaverPolicy(target.leaver_policy)])
    belongs = _belonging(target)
    stale = (
        Q(wanted_version=None)
        | ~Q(wanted_version=F("person__version"))
        | (present & ~belongs)
        | (~present & belongs)
        | (~present & ~policy)
    )
    return Person.objects.filter(pk__in=RemoteAccount.objects.filter(stale, target=target).values("person"))


def _new(target: Target) -> QuerySet[Person]:
    """Those who belong there and have no row yet."""
    known = RemoteAccount.objects.filter(target=target, person=OuterRef("pk"))
    return people_of(target.scope).filter(~Exists(known), is_active=True)
