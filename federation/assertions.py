"""What passes between the doors: values that know no protocol."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from broker.registry.models import Application, Client


@dataclass(frozen=True, slots=True)
class SignOnRequest:
    """What an application asks, whichever protocol it speaks.

    `asked` is JSON: all that its downstream door needs to answer later. `max_age` is in seconds.
    """

    application: Application
    client: Client | None
    asked: dict[str, Any]
    passive: bool = False
    """No page may be shown (prompt=none, IsPassive)."""
    force: bool = False
    """A fresh authentication is wanted (prompt=login, ForceAuthn)."""
    choose: bool = False
    """The person wants to choose the account (prompt=select_account)."""
    max_age: int | None = None
    contexts: tuple[str, ...] = ()
    """The authentication contexts that are good enough (acr_values, RequestedAuthnContext), best first; none: any."""
    must_reach_context: bool = False
    """Whether a weaker context is refused rather than told as it is."""
    login_hint: str = ""
    identity_provider_hint: str = ""


@dataclass(frozen=True, slots=True)
class VerifiedAssertion:
    """What an identity provider says of a subject, after every check has passed. Only `upstream` makes one."""

    issuer: str
    subject: str
    authenticated_at: datetime
    context: str
    attributes: Mapping[str, tuple[str, ...]]
    methods: tuple[str, ...] = ()
    """How the person authenticated (amr, RFC 8176), where the identity provider says so."""
    upstream_session: Mapping[str, str] = field(default_factory=dict)
    """NameID and SessionIndex, for the identity provider's logout."""
    session_until: datetime | None = None
    """When the identity provider wants the session to end at the latest."""
    incomplete: frozenset[str] = frozenset()
    """Attributes of which the identity provider told only a part, or only that they exist elsewhere."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How the browser is sent on: by redirect to `url`, or by an auto-submitted POST of `fields` to it."""

    url: str
    fields: Mapping[str, str] | None = None
