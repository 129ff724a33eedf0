"""An identity provider's session ended: those that hang on it here end too, and so the applications hear of it."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from broker.actors import Actor, ActorKind
from broker.errors import BrokerError
from broker.once.services import AlreadyUsed, claim_once
from broker.registry.models import IdentityProvider
from broker.registry.services import find_identity_provider
from broker.sessions.models import Session
from broker.sessions.services import end_session
from broker.traces.collector import Collector
from federation.upstream.logout_token import UpstreamLogout, verify_logout_token

REASON = "logout at the identity provider"
TOKEN_KIND = "upstream-logout"


def hear_logout(slug: str, raw_token: str, *, actor: Actor, trace: Collector) -> int:
    """End the sessions that the logout token of this identity provider names. Returns how many there were.

    Raises BrokerError: signon.unknown where no OpenID provider stands under `slug`, oidc.*, outgoing.*.
    """
    identity_provider = find_identity_provider(slug)
    if identity_provider is None or identity_provider.protocol != IdentityProvider.Protocol.OIDC:
        raise BrokerError("signon.unknown", expected="an OpenID provider", actual=slug)
    now = timezone.now()
    leaving = verify_logout_token(raw_token, identity_provider, now=now, trace=trace)
    with transaction.atomic():
        try:
            claim_once(TOKEN_KIND, f"{identity_provider.pk} {leaving.token_id}", until=leaving.until)
        except AlreadyUsed as error:
            raise BrokerError("oidc.replayed", expected="a token that was not used", actual="one that was") from error
        ends = Actor(ActorKind.SYSTEM, f"identity provider {slug}"[:200], actor.address, actor.trace_id)
        hanging = sessions_of(identity_provider, leaving, now=now).select_related("identity_provider")
        return sum(end_session(one, reason=REASON, actor=ends) for one in hanging)


def sessions_of(identity_provider: IdentityProvider, leaving: UpstreamLogout, *, now: datetime) -> QuerySet[Session]:
    """The live sessions that hang on the one that ended.

    By its `sid`, and by the subject too where both are told. Where the provider told us no sid at the sign-on, its
    sessions of this person cannot be told apart, and all of them end: rather one sign-on too many.
    """
    named = Q()
    if leaving.subject:
        named &= Q(upstream__sub=leaving.subject)
    if leaving.sid:
        is_named = Q(upstream__sid=leaving.sid)
        named &= is_named | ~Q(upstream__has_key="sid") if leaving.subject else is_named
    return Session.objects.filter(named, identity_provider=identity_provider, ended_at=None, expires_at__gt=now)
