"""May the person enter the application? Asked of the policy engine at every sign-on, from a session too."""

from datetime import datetime

from broker.access.entry import Entry, decide_entry
from broker.directory.models import Person
from broker.errors import BrokerError
from broker.registry.models import Application, IdentityProvider
from broker.sessions.models import Session
from federation.assertions import VerifiedAssertion
from federation.signon.attempts import Attempt

CHECK = "may enter"


def entry_by_session(session: Session, application: Application) -> Entry:
    """Somebody whose live session answers; it comes with its person and identity provider."""
    return Entry(
        person=session.person,
        application=application,
        context=session.context,
        methods=session.methods,
        identity_provider=session.identity_provider.slug,
        is_fresh=False,
    )


def entry_by_assertion(
    person: Person, application: Application, identity_provider: IdentityProvider, assertion: VerifiedAssertion
) -> Entry:
    """Somebody who just signed on."""
    return Entry(
        person=person,
        application=application,
        context=assertion.context,
        methods=assertion.methods,
        identity_provider=identity_provider.slug,
        is_fresh=True,
    )


def find_refusal_of(entry: Entry, *, attempt: Attempt, now: datetime) -> BrokerError | None:
    """The refusal where no rule lets the person in, or one forbids it; None when they may enter.

    Runs in the transaction of the sign-on, and is handed back rather than raised: the decision is kept with it.
    """
    decided = decide_entry(entry, actor=attempt.actor, now=now)
    expected = "a rule that permits it, and none that forbids it"
    attempt.trace.check(CHECK, passed=decided.verdict.decision, expected=expected, actual=decided.reason_admin)
    if decided.verdict.decision:
        return None
    attempt.trace.note("The decision.", id=decided.decision_id, policy_set=decided.verdict.policy_version)
    return BrokerError("signon.not_permitted", expected=expected, actual=decided.reason_admin)
