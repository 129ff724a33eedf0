"""Ending the session of this browser."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from broker.actors import Actor, ActorKind
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.sessions.models import Participant, Session
from broker.sessions.services import end_session, live_sessions_of
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


def leave(session: Session, *, asked: LogoutRequest, actor: Actor) -> None:
    """End the session for the person behind it. Access tokens that live from it end with it."""
    reason = f"logout from {asked.application}" if asked.application else "logout"
    end_session(session, reason=reason[:64], actor=_person(session, actor))


def end_own(session: Session, *, session_id: str, actor: Actor) -> bool:
    """End one live session of the person behind `session`. Returns whether it was this one.

    Raises BrokerError("session.unknown") for a session that is over, and for somebody else's.
    """
    now = timezone.now()
    try:
        found = live_sessions_of(session.person, now=now).filter(pk=UUID(session_id)).first()
    except ValueError:
        found = None
    if found is None:
        raise BrokerError("session.unknown", expected="a live session of the same person")
    end_session(found, reason="ended by the person", actor=_person(session, actor))
    return found.pk == session.pk


def end_everywhere(session: Session, *, actor: Actor) -> list[UUID]:
    """End every live session of the person. Returns their ids."""
    live = live_sessions_of(session.person, now=timezone.now())
    ended = []
    with transaction.atomic():
        for one in live.select_related("identity_provider"):
            end_session(one, reason="ended everywhere by the person", actor=_person(session, actor))
            ended.append(one.pk)
    return ended


def _person(session: Session, actor: Actor) -> Actor:
    return actor.acting_as(ActorKind.PERSON, str(session.person_id))


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
