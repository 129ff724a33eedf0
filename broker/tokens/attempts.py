"""One request to an endpoint of this room: who acts, which attempt it belongs to, and what it leaves behind."""

from dataclasses import dataclass, replace

import structlog
from django.db import DatabaseError
from django.http import HttpRequest

from broker.actors import Actor, ActorKind
from broker.events import catalogue
from broker.events.services import record
from broker.http import actor_from
from broker.registry.models import Client
from broker.throttling import Budget, Left, TooMany, throttle
from broker.tokens.credentials import VerifiedCredential
from broker.tokens.errors import OAuthError, TooManyRequests
from broker.traces.bounded import may_be_written
from broker.traces.collector import Collector
from broker.traces.models import Trace
from broker.traces.services import save_trace

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Attempt:
    """What the services of this room write into: checks and notes, and who is concerned."""

    actor: Actor
    trace: Collector
    is_new: bool = True
    """Whether this request began the attempt, or is a further hop of one that is stored already."""
    connection: str = ""
    application: str = ""
    credential: VerifiedCredential | None = None
    """By which the client proved who it is, once it did."""
    budget: Budget | None = None
    """What a client may spend at this endpoint."""
    left: Left | None = None
    """What is left of it to the client that proved who it is."""
    is_explained: bool = False
    """Whether somebody asked for every phase, not for a token alone."""

    @classmethod
    def of(cls, request: HttpRequest, hop: str, budget: Budget | None = None) -> "Attempt":
        return cls(actor_from(request), Collector(hop=f"{request.method} {hop}"), budget=budget)

    @property
    def trace_id(self) -> str:
        return self.actor.trace_id

    def continues(self, trace_id: str) -> None:
        """This request is a further hop of the sign-on with that id."""
        if trace_id:
            self.actor = replace(self.actor, trace_id=trace_id)
            self.is_new = False

    def begins(self, phase: str) -> None:
        """The request reached this phase of its endpoint."""
        if self.is_explained:
            self.trace.note(phase)

    def concerns(self, client: Client) -> None:
        """The request names this client, which has proved nothing yet."""
        self.application = client.application.slug if client.application else ""

    def acts_for(self, client: Client) -> None:
        """The client proved who it is. Raises TooManyRequests when its budget at this endpoint is spent."""
        self.actor = self.actor.acting_as(ActorKind.CLIENT, client.client_id)
        if self.budget is not None:
            try:
                self.left = throttle.spend(self.budget, client.client_id)
            except TooMany as error:
                self.left = error.left
                raise TooManyRequests(error.left) from error

    def save_success(self) -> None:
        """Store what was done. The tokens are out already: a trace that cannot be stored takes nothing back."""
        self._save(Trace.Outcome.SUCCEEDED)

    def save_refusal(self, error: OAuthError) -> None:
        """Store the event of a refusal, and its trace; in a flood of them, count it.

        Raises DatabaseError when the event cannot be written.
        """
        if not may_be_written(self.actor, error.code):
            return
        # The last failed check has said so itself; this line holds the public code beside its reason.
        self.trace.check(f"{error.code}: {error.reason}", passed=False, expected=error.expected, actual=error.actual)
        if error.detail:
            self.trace.note("Refused.", detail=error.detail)
        record(
            catalogue.TOKEN_REFUSED,
            actor=self.actor,
            connection=self.connection,
            application=self.application,
            code=error.code,
            reason=error.reason,
            hop=self.trace.hop,
        )
        self._save(Trace.Outcome.REFUSED, code=error.code)

    def _save(self, outcome: Trace.Outcome, *, code: str = "") -> None:
        try:
            save_trace(
                self.trace_id,
                self.trace,
                outcome=outcome,
                code=code,
                connection=self.connection,
                application=self.application,
                is_new=self.is_new,
            )
        except DatabaseError as error:
            log.warning("trace not stored", error=type(error).__name__)
