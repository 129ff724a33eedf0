"""Whose account at a target may not be what is wanted, asked of the database."""

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from broker.directory.models import Person
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.outbound.models.remote import GONE_STATES
from provisioning.outbound.scope import people_of
from provisioning.outbound.services import CLOSED_STATES
from provisioning.outbound.wanted import AIM_OF_LEAVERS

Aim, State = RemoteAccount.Aim, RemoteAccount.State


def outdated_people(target: Target) -> QuerySet[Person]:
    """Those with an account row that was worked out for an older version of them, of the mapping or of the scope."""
    return Person.objects.filter(pk__in=RemoteAccount.objects.filter(_outdated(target), target=target).values("person"))


def new_people(target: Target) -> QuerySet[Person]:
    """Those who belong there and have no row yet."""
    known = RemoteAccount.objects.filter(target=target, person=OuterRef("pk"))
    return people_of(target.scope).filter(~Exists(known), is_active=True)


def unsettled_people(target: Target) -> QuerySet[Person]:
    """Those of `outdated_people`, and those whose account was not last read as it should be (services.is_settled)."""
    condition = _outdated(target) | ~Q(pk__in=RemoteAccount.objects.filter(_settled(), target=target).values("pk"))
    return Person.objects.filter(pk__in=RemoteAccount.objects.filter(condition, target=target).values("person"))


def _outdated(target: Target) -> Q:
    present = Q(aim=Aim.PRESENT)
    policy = Q(aim=AIM_OF_LEAVERS[Target.LeaverPolicy(target.leaver_policy)])
    belongs = Q(Exists(people_of(target.scope).filter(pk=OuterRef("person"), is_active=True)))
    return (
        Q(wanted_version=None)
        | ~Q(wanted_version=F("person__version"))
        | (present & ~belongs)
        | (~present & belongs)
        | (~present & ~policy)
    )


def _settled() -> Q:
    as_sent = Q(read_digest="", sent_digest=F("wanted_digest"))
    as_read = Q(read_active=True, read_digest=F("wanted_digest"))
    return (
        Q(aim=Aim.LEFT)
        | (Q(aim=Aim.PRESENT, state=State.PRESENT) & (as_sent | as_read))
        | Q(aim=Aim.DISABLED, state__in=CLOSED_STATES, read_at__isnull=False)
        | Q(aim=Aim.GONE, state__in=GONE_STATES, read_at__isnull=False)
    )
