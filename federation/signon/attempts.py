"""One attempt as a view sees it: its trace, and what becomes of it at the end of the request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from broker.actors import Actor
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.http import actor_from, adopt_trace_id, trace_id_of
from broker.traces.bounded import may_be_written
from broker.traces.collector import Collector
from broker.traces.models import Trace
from broker.traces.services import save_trace
from federation.assertions import Answer
from federation.downstream.adapters import downstream_for

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Attempt:
    """What the services of this room write into: checks and notes, and who is concerned."""

    request: HttpRequest
    actor: Actor
    trace: Collector
    is_new: bool = True
    """Whether this request began the attempt, or is a further hop of one that is stored already."""
    outcome: Trace.Outcome = Trace.Outcome.UNDER_WAY
    connection: str = ""
    application: str = ""
    is_saved: bool = False
    """Whether its records are stored already: its refusal, or its success with what it changed."""
    asked: dict[str, Any] = field(default_factory=dict)
    """What the application asked, once a stored login request is at hand."""
    returns_to: dict[str, Any] = field(default_factory=dict)
    """What the application asked to which the error page may lead back; empty: to none."""
    is_test: bool = False
    """Whether it signs nobody on, but tries an identity provider out."""
    result_url: str = ""
    """Where the end of a test is shown, whether it passed or not."""

    def continues(self, trace_id: str) -> None:
        """This request is a further hop of a stored attempt."""
        adopt_trace_id(self.request, trace_id)
        self.is_new = False
        self.actor = actor_from(self.request)

    def save(self) -> None:
        """Store the records of a request that was not refused, in the transaction of what it changed if there is one.

        A refusal that follows all the same is stored as such.
        """
        self.is_saved = True
        save_trace(
            trace_id_of(self.request),
            self.trace,
            outcome=self.outcome,
            connection=self.connection,
            application=self.application,
            is_new=self.is_new,
        )

    def save_refusal(self, error: BrokerError) -> None:
        """Store the refusal: its trace and its event, in one commit of their own; in a flood of them, count it."""
        self.outcome, self.is_saved = Trace.Outcome.REFUSED, True
        if not self.is_test and not may_be_written(self.actor, error.code):
            return
        self.trace.check(error.code, passed=False, expected=error.expected, actual=error.actual)
        if error.detail:
            self.trace.note("Refused.", detail=error.detail)
        with transaction.atomic():
            record(
                catalogue.CONNECTION_TESTED if self.is_test else catalogue.LOGIN_REFUSED,
                actor=self.actor,
                connection=self.connection,
                application=self.application,
                code=error.code,
            )
            save_trace(
                trace_id_of(self.request),
                self.trace,
                outcome=self.outcome,
                code=error.code,
                connection=self.connection,
                application=self.application,
                is_new=self.is_new,
            )


AttemptView = Callable[..., HttpResponse]
RefusalPage = Callable[..., HttpResponse]


@dataclass(frozen=True, slots=True)
class traced:  # noqa: N801 - a decorator
    """Gives a view its Attempt and stores it at the end: `@traced("answer of an identity provider", page=…)`.

    A BrokerError becomes the refusal's page. A database that is away becomes service.unavailable: nothing was
    written, and no door opened.
    """

    hop: str
    page: RefusalPage

    def __call__(self, view: AttemptView) -> Callable[..., HttpResponse]:
        @wraps(view)
        def run(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            attempt = Attempt(request, actor_from(request), Collector(hop=f"{request.method} {self.hop}"))
            try:
                try:
                    response = view(request, attempt, *args, **kwargs)
                except BrokerError as error:
                    attempt.save_refusal(error)
                    if attempt.result_url:
                        return HttpResponseRedirect(attempt.result_url)
                    return self.page(request, error, way_back=_way_back(attempt, error))
                if attempt.trace.entries and not attempt.is_saved:
                    attempt.save()
            except (OperationalError, InterfaceError) as error:
                log.exception("database", error=type(error).__name__)
                return self.page(request, BrokerError("service.unavailable"))
            return response

        return run


def _way_back(attempt: Attempt, error: BrokerError) -> Answer | None:
    """How the person goes back to the application, which then hears of the refusal in its own protocol."""
    if not attempt.returns_to:
        return None
    try:
        return downstream_for(attempt.returns_to).refuse(attempt.returns_to, error)
    except BrokerError:
        # Without a key to sign with there is no way back, and still a page.
        return None
