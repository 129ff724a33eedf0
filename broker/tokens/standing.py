"""Does what was once given still stand? Asked at every use: code, refresh token and access token alike.

Whoever left, and whatever was switched off, is out at once wherever a request passes through us.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from broker.registry.models import Client
from broker.sessions.models import Session
from broker.traces.collector import Collector

OFFLINE = "offline_access"


class NoLongerStands(Exception):
    """One of the checks failed; the message is its reason, for the event."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Who is behind a code or a grant. `session` comes with its person and its identity provider and organisation."""

    client: Client
    session: Session
    is_offline: bool
    now: datetime


def check_client_enabled(standing: Standing) -> None:
    """The client and its application are neither switched off nor retired."""
    client, application = standing.client, standing.client.application
    if not client.enabled or client.retired_at:
        raise NoLongerStands("client")
    if application is None or not application.enabled or application.retired_at:
        raise NoLongerStands("application")


def check_person_active(standing: Standing) -> None:
    """The person's account is open."""
    if not standing.session.person.is_active:
        raise NoLongerStands("person")


def check_identity_provider_enabled(standing: Standing) -> None:
    """The identity provider that vouched, and its organisation, are neither switched off nor retired.

    A successor under the same name is another party.
    """
    if not standing.session.identity_provider.is_in_use:
        raise NoLongerStands("identity_provider")


def check_session_live(standing: Standing) -> None:
    """The session goes on, unless access beyond it was granted (OpenID Connect Core 11)."""
    session = standing.session
    if not standing.is_offline and (session.ended_at is not None or session.expires_at <= standing.now):
        raise NoLongerStands("session")


STANDING_CHECKS: tuple[Callable[[Standing], None], ...] = (
    check_client_enabled,
    check_person_active,
    check_identity_provider_enabled,
    check_session_live,
)


def check_standing(standing: Standing, *, trace: Collector) -> None:
    """Run STANDING_CHECKS. Raises NoLongerStands."""
    for check in STANDING_CHECKS:
        name = f"token.{check.__name__.removeprefix('check_')}"
        try:
            check(standing)
        except NoLongerStands as error:
            trace.check(name, passed=False, actual=error)
            raise
        trace.check(name, passed=True)
