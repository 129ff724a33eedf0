"""What the endpoint expects of a grant."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from broker.events.catalogue import EventType
from broker.registry.models import Client
from broker.tokens.attempts import Attempt
from broker.tokens.errors import OAuthError
from broker.tokens.models import Grant
from broker.tokens.requests import TokenRequest
from broker.traces.collector import Collector

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a client is entitled to. `scopes` are the access token's; they never exceed the grant's."""

    grant: Grant
    scopes: tuple[str, ...]
    event: EventType
    outlives_session: bool
    """Whether an ended session leaves it standing: a refresh of offline access does, a code does not."""
    nonce: str = ""
    refresh_token: str = field(default="", repr=False)


class GrantType(Protocol):
    """One grant_type. Runs in the endpoint's transaction: what it used up is unused again when issuing fails."""

    def authorize(self, request: TokenRequest, *, client: Client, attempt: Attempt, now: datetime) -> Authorization:
        """Find what was given to `client`, check it and use it up. Raises OAuthError."""
        ...


def run_checks(checks: tuple[Callable[[T], None], ...], presented: T, *, trace: Collector) -> None:
    """Run an ordered list of checks, each leaving its name. Raises what the first failing one raises."""
    for check in checks:
        name = f"token.{check.__name__.removeprefix('check_')}"
        try:
            check(presented)
        except OAuthError as error:
            trace.check(name, passed=False, expected=error.expected, actual=error.actual or error.reason)
            raise
        trace.check(name, passed=True)
