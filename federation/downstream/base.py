"""What the hall expects of a downstream door."""

from typing import Any, Protocol

from broker.actors import Actor
from broker.errors import BrokerError
from broker.sessions.models import Participant, Session
from broker.traces.collector import Collector
from federation.assertions import Answer


class Downstream(Protocol):
    """One protocol that applications speak. `asked` is what the door put into its SignOnRequest."""

    def respond(
        self, asked: dict[str, Any], *, session: Session, participant: Participant, actor: Actor, trace: Collector
    ) -> Answer:
        """The answer to a successful sign-on, which the trace shows; runs in the transaction that joins the session."""
        ...

    def refuse(self, asked: dict[str, Any], error: BrokerError) -> Answer:
        """The answer to a refused sign-on, as the protocol says it."""
        ...
