"""Ending the session of this browser."""

from uuid import UUID

from django.db import transaction

from broker.actors import Actor, ActorKind
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.registry.models import Application
from broker.sessions.models import Participant, Session
from broker.sessions.services import end_session
from broker.traces.collector import Collector
from broker.traces.models import Trace
from broker.traces.services import save_trace
from federation.logout.requests import LogoutRequest


def may_end_unasked(session: Session, *, asked: LogoutRequest) -> bool:
    """Whether the application proved, by an ID token of this very session, that it speaks for this browser.

    Without that proof a link on any page could sign people out.
    """
    if not asked.participant_id:
        return False
    return Participant.objects.filter(pk=UUID(asked.participant_id), session=session).exists()


def list_left_signed_on(session: Session) -> list[str]:
    """The names of the applications that took part: none of them is told of the logout yet."""
    return list(
        Application.objects.filter(pk__in=session.participants.values("application_id"))
        .order_by("name")
        .values_list("name", flat=True)
    )


def leave(session: Session, *, asked: LogoutRequest, actor: Actor) -> None:
    """End the session for the person behind it. Access tokens that live from it end with it."""
    reason = f"logout from {asked.application}" if asked.application else "logout"
    end_session(session, reason=reason[:64], actor=actor.acting_as(ActorKind.PERSON, str(session.person_id)))


def save_outcome(trace: Collector, *, application: str, connection: str, actor: Actor) -> None:
    """Store the trace of a logout that was not refused."""
    save_trace(
        actor.trace_id,
        trace,
        outcome=Trace.Outcome.SUCCEEDED,
        application=application,
        connection=connection,
        is_new=True,
    )


def save_refusal(error: BrokerError, *, trace: Collector, actor: Actor) -> None:
    """Store the refusal of a logout: its event and its trace, in one commit of their own."""
    trace.check(error.code, passed=False, expected=error.expected, actual=error.actual or error.detail)
    with transaction.atomic():
        record(catalogue.REQUEST_REFUSED, actor=actor, code=error.code, hop=trace.hop)
        save_trace(actor.trace_id, trace, outcome=Trace.Outcome.REFUSED, code=error.code, is_new=True)
