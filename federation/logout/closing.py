"""Sessions that open no door any more since their identity provider was switched off: ended, so that applications hear.

At each use it is asked whether the identity provider is in use; nobody comes by where an application has a session of
its own, and does not ask.
"""

from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.registry.models import IdentityProvider
from broker.sessions.models import Session
from broker.sessions.services import end_session

REASON = "identity provider switched off"


def end_orphaned() -> int:
    """End the live sessions of identity providers that are not in use. Returns how many."""
    unused = Q(enabled=False) | Q(retired_at__isnull=False) | Q(organisation__enabled=False)
    providers = list(IdentityProvider.objects.filter(unused).values_list("pk", flat=True))
    total = 0
    while providers and (ended := _end_some(providers)):
        total += ended
    return total


@transaction.atomic
def _end_some(providers: list[UUID]) -> int:
    """One transaction's worth."""
    live = Session.objects.filter(
        identity_provider__in=providers, ended_at=None, expires_at__gt=timezone.now()
    ).select_related("identity_provider")
    return sum(end_session(one, reason=REASON, actor=SYSTEM) for one in live[: limits.LOGOUT_SESSIONS_PER_LOOK])
