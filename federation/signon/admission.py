"""Letting a judged person in: who it is, and the session of this browser. Runs in the caller's transaction."""

from typing import Any

from broker.actors import ActorKind
from broker.directory.linking import person_for_login
from broker.directory.models import Person
from broker.directory.services import write_login
from broker.registry.models import IdentityProvider
from broker.sessions import services as sessions
from broker.sessions.models import Session
from federation.assertions import VerifiedAssertion
from federation.signon.attempts import Attempt
from federation.signon.judging import Judged


def identify(identity_provider: IdentityProvider, judged: Judged, *, attempt: Attempt) -> Person:
    """The person behind a judged assertion, with what it says of them written down; from here on they act.

    Raises BrokerError: account.unknown, account.inactive, account.organisation, authority.identifier_taken.
    """
    assertion, claims = judged.assertion, judged.claims
    person = person_for_login(
        identity_provider, issuer=assertion.issuer, subject=assertion.subject, claims=claims, actor=attempt.actor
    )
    attempt.actor = attempt.actor.acting_as(ActorKind.PERSON, str(person.pk))
    evidence = f"trace:{attempt.actor.trace_id}"
    write_login(person, claims, identity_provider=identity_provider, evidence=evidence, actor=attempt.actor)
    return person


def open_or_renew(
    previous: Session | None,
    person: Person,
    identity_provider: IdentityProvider,
    assertion: VerifiedAssertion,
    *,
    attempt: Attempt,
) -> tuple[Session, str]:
    """The session of this browser after the sign-on. Another person's session in the same browser ends."""
    told: dict[str, Any] = {
        "identity_provider": identity_provider,
        "authenticated_at": assertion.authenticated_at,
        "context": assertion.context,
        "methods": assertion.methods,
        "upstream": assertion.upstream_session,
        "until": assertion.session_until,
    }
    if previous is not None and previous.person_id == person.pk:
        return previous, sessions.renew_session(previous, **told)
    if previous is not None:
        sessions.end_session(previous, reason="another person signed on", actor=attempt.actor)
    return sessions.open_session(person, **told)
