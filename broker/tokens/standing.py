"""Does what was once given still stand? Asked at every use: code, refresh token and access token alike.

Whoever left, and whatever was switched off, is out at once wherever a request passes through us.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from broker.directory.models import Person
from broker.registry.models import Client, IdentityProvider
from broker.sessions.models import Session
from broker.tokens.clients import find_named_client
from broker.traces.collector import Collector


class NoLongerStands(Exception):
    """One of the checks failed; the message is its reason, for the event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Who is behind a code, a grant or a token.

    `subject` is whom it is about. A person comes with the session, or without one with who vouched for them;
    identity providers come with their organisation. `actors` is who acts for the subject, and `lineage` whose tokens
    were exchanged on the way here, both as Grant holds them, who were named at `given_at`.
    """

    client: Client
    subject: Person | Client
    session: Session | None
    identity_provider: IdentityProvider | None
    is_offline: bool
    now: datetime
    given_at: datetime
    actors: tuple[Mapping[str, Any], ...] = ()
    lineage: tuple[Mapping[str, Any], ...] = ()


def check_client_enabled(standing: Standing) -> None:
    """The client and its application, if it has one, are neither switched off nor retired."""
    _check_client(standing.client)


def check_subject_active(standing: Standing) -> None:
    """The person's account is open; a client that is the subject is in use."""
    if isinstance(standing.subject, Client):
        _check_client(standing.subject)
    elif not standing.subject.is_active:
        raise NoLongerStands("person")


def check_identity_provider_enabled(standing: Standing) -> None:
    """The identity provider that vouched for a person, and its organisation, are neither switched off nor retired.

    A successor under the same name is another party.
    """
    if isinstance(standing.subject, Client):
        return
    vouched = standing.session.identity_provider if standing.session else standing.identity_provider
    if vouched is None or not vouched.is_in_use:
        raise NoLongerStands("identity_provider")


def check_session_live(standing: Standing) -> None:
    """The session goes on, unless access beyond it was granted (OpenID Connect Core 11)."""
    session = standing.session
    if session is None or standing.is_offline:
        return
    if session.ended_at is not None or session.expires_at <= standing.now:
        raise NoLongerStands("session")


def check_actors_enabled(standing: Standing) -> None:
    """Every client that acts for the subject is in use; one that is gone acts for nobody."""
    for actor in standing.actors:
        _check_named(actor["client_id"], "actor", standing)


def check_lineage_enabled(standing: Standing) -> None:
    """Every client whose token was exchanged on the way here is in use: what came of its tokens ends with them."""
    for ancestor in standing.lineage:
        _check_named(ancestor["client"], "ancestor", standing)


def _check_named(client_id: str, role: str, standing: Standing) -> None:
    """A client that was registered later under the name of one that is gone is another."""
    client = find_named_client(client_id)
    if client is None or client.created_at > standing.given_at:
        raise NoLongerStands(role)
    _check_client(client)


def _check_client(client: Client) -> None:
    if not client.enabled or client.retired_at:
        raise NoLongerStands("client")
    application = client.application
    if application is None:
        # Only an integration's own client may belong to no application.
        if client.kind != Client.Kind.SERVICE:
            raise NoLongerStands("application")
    elif not application.enabled or application.retired_at:
        raise NoLongerStands("application")


STANDING_CHECKS: tuple[Callable[[Standing], None], ...] = (
    check_client_enabled,
    check_subject_active,
    check_identity_provider_enabled,
    check_session_live,
    check_actors_enabled,
    check_lineage_enabled,
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
