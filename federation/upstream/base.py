"""What the hall expects of an upstream door."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from broker.errors import BrokerError
from broker.registry.models import IdentityProvider
from broker.traces.collector import Collector
from federation.assertions import Answer, VerifiedAssertion


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """Our question to an identity provider, as stored with the login request: what its answer is judged by."""

    request_id: str
    relay_state: str
    force: bool
    authenticated_after: datetime | None
    contexts: tuple[str, ...] = ()
    """In the identity provider's own words, best first; none: any is good."""
    wanted: tuple[tuple[str, ...], ...] = ()
    """What the operators' mapping wants to hear: of each tuple of attribute names, one."""
    login_hint: str = ""
    """Who the application thinks will sign on; not stored, so known only when the question is asked."""


class Connector(Protocol):
    """One protocol that identity providers speak."""

    def our_addresses(self, identity_provider: IdentityProvider) -> Mapping[str, str]:
        """What the other side has to register of us, by the name that it has there."""
        ...

    def start(self, identity_provider: IdentityProvider, request: UpstreamRequest, *, trace: Collector) -> Answer:
        """How the browser carries our question there."""
        ...

    def finish(
        self, identity_provider: IdentityProvider, request: UpstreamRequest, raw_answer: str, *, trace: Collector
    ) -> VerifiedAssertion:
        """Judge the answer. Raises BrokerError with the code of the check that failed.

        Where the provider itself says that it cannot reach what was asked, that is `context_refused`.
        """
        ...


def context_refused(request: UpstreamRequest, *, told: str) -> BrokerError:
    """The refusal of a provider that reaches none of the contexts in `request`; `told` is its own text."""
    return BrokerError(
        "signon.context_not_reached",
        detail=told,
        expected=" or ".join(request.contexts),
        actual="none: the identity provider says so itself",
    )
