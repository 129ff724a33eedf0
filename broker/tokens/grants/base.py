"""What the endpoint expects of a grant."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from broker.directory.models import Person
from broker.events.catalogue import EventType
from broker.registry.models import Client, IdentityProvider, Resource
from broker.sessions.models import Session
from broker.tokens.attempts import Attempt
from broker.tokens.models import Grant
from broker.tokens.requests import TokenRequest


@dataclass(frozen=True, slots=True)
class Permitted:
    """What may be issued of a proposal: scopes that it asked for or may have, and until when at most."""

    scopes: tuple[str, ...]
    ends_at: datetime | None = None
    flow_id: int | None = None
    confirmation: Mapping[str, str] = field(default_factory=dict)
    """The key to which the client's tokens shall be bound, as `cnf`."""
    warnings: tuple[str, ...] = ()
    """For a response header: what the client's owner should know, though the request is granted."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a proposal became once it was taken: the grant, opened or found, and its refresh token if there is one."""

    grant: Grant
    refresh_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a client asks for, when all that it presented has been verified and nothing is used up yet."""

    grant_type: str
    """As the flow register names it: a refresh is judged as what first opened its grant."""
    subject: Person | Client
    scopes: tuple[str, ...]
    """Asked for; empty asks for whatever is permitted."""
    ceiling: tuple[str, ...] | None
    """What the presented grant or token reaches; None where nothing came before."""
    sign_on_scopes: tuple[str, ...] = ()
    """What is asked about the person, for the ID token; beside `scopes` where those are a resource's."""
    resource: Resource | None
    """The audience; None is our own userinfo endpoint."""
    event: EventType
    take: Callable[[Permitted], Taken]
    """Uses up what was presented, and opens the grant. Raises OAuthError when another was faster."""
    session: Session | None = None
    outlives_session: bool = False
    """Whether an ended session leaves it standing: a refresh of offline access does, a code does not."""
    identity_provider: IdentityProvider | None = None
    """Who vouched for a person that has no session behind this."""
    actors: tuple[Mapping[str, Any], ...] = ()
    """Who acts for the subject, the present actor first (RFC 8693 section 4.1)."""
    impersonation: bool = False
    not_after: datetime | None = None
    """No token of it lives longer: the end of what was exchanged."""
    bound_to: Mapping[str, str] = field(default_factory=dict)
    """The key with which it has to come, as `cnf`; an empty thumbprint stands for any."""
    nonce: str = ""
    issued_token_type: str = ""
    """RFC 8693 section 2.2.1; empty for every other grant."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What the event keeps of what was presented: ids, never values."""


class GrantType(Protocol):
    """One grant_type.

    `KINDS` are the clients that may use it. Where `CONSUMES` is true, taking its proposal uses something up, and that
    and what is issued are one transaction: it is unused again when issuing fails.
    """

    KINDS: frozenset[Client.Kind]
    CONSUMES: bool

    def propose(
        self, request: TokenRequest, *, client: Client, resource: Resource | None, attempt: Attempt, now: datetime
    ) -> Proposal:
        """Verify what was presented; `resource` is the one that the request names. Raises OAuthError."""
        ...
