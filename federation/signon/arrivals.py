"""Answers that nobody asked for (IdP-initiated SAML), where the operators have opted in.

Such an answer cannot be tied to the browser that brings it: whoever has an account at the identity provider can make
another person's browser bring theirs (login CSRF). What is done about it: off unless an operator switches it on; it
replaces nobody's session; no application is answered, it only gets to ask us itself; and it counts once.
"""

from django.db import transaction
from django.utils import timezone

from broker import crypto, limits
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.http import trace_id_of
from broker.registry.models import Application, IdentityProvider
from broker.sessions.models import Session
from broker.traces.models import Trace
from federation.assertions import Answer
from federation.signon.admission import identify, open_or_renew
from federation.signon.attempts import Attempt
from federation.signon.judging import judge
from federation.signon.models import LoginRequest
from federation.signon.services import consume, find_login
from federation.signon.starts import start_of
from federation.signon.steps import Step, is_relay_state, make_relay_state
from federation.upstream.saml import SAMLConnector

CONNECTOR = SAMLConnector()


def is_arrival(identity_provider: IdentityProvider, *, relay_state: str) -> bool:
    """Whether an answer that comes with `relay_state` belongs to no question of ours, and may be judged as such."""
    if not identity_provider.idp_initiated:
        return False
    asked = LoginRequest.objects.filter(relay_state=relay_state, identity_provider=identity_provider)
    return not (is_relay_state(relay_state) and asked.exists())


def receive_arrival(
    identity_provider: IdentityProvider, *, relay_state: str, raw_answer: str, browser: str, attempt: Attempt
) -> str:
    """Store an answer for this browser to come back with. Returns the handle with which it does.

    `browser` is a fresh value, for the cookie of arrivals. The answer is verified before it is stored: strangers do
    not fill our tables. Raises BrokerError.
    """
    CONNECTOR.check_unsolicited(identity_provider, raw_answer, trace=attempt.trace)
    application = _application(identity_provider, relay_state)
    attempt.application = application.slug
    start_of(application)
    now, handle = timezone.now(), make_relay_state()
    LoginRequest.objects.create(
        trace_id=trace_id_of(attempt.request),
        purpose=LoginRequest.Purpose.ARRIVAL,
        relay_state=handle,
        browser_hash=crypto.keyed_hash(browser, purpose="flow"),
        state=LoginRequest.State.ANSWERED,
        application=application,
        asked={},
        identity_provider=identity_provider,
        raw_answer=crypto.seal(raw_answer.encode(), context=_place(handle)),
        created_at=now,
        expires_at=now + limits.ARRIVAL_LIFETIME,
    )
    return handle


def complete_arrival(
    identity_provider: IdentityProvider, *, handle: str, browser: str, session: Session | None, attempt: Attempt
) -> Step:
    """The same browser came back: open its session, and send it to where the application begins a sign-on.

    Raises BrokerError, signon.other_person among them: a live session of somebody else stays.
    """
    login = find_login(handle, browser=browser, attempt=attempt, purposes=(LoginRequest.Purpose.ARRIVAL,))
    if login.identity_provider_id != identity_provider.pk or login.application is None:
        raise BrokerError("signon.unknown", detail="the answer came in at another identity provider's address")
    if not consume(login, LoginRequest.State.ANSWERED):
        raise BrokerError(
            "saml.replayed", expected="an answer nobody judged yet", actual=f"login request is {login.state}"
        )
    raw_answer = crypto.unseal(login.raw_answer, context=_place(handle)).decode()
    assertion = CONNECTOR.finish_unsolicited(identity_provider, raw_answer, trace=attempt.trace)
    judged = judge(login, identity_provider, assertion, attempt=attempt)
    with transaction.atomic():
        person = identify(identity_provider, judged, attempt=attempt)
        if session is not None and session.person_id != person.pk:
            raise BrokerError("signon.other_person", expected=session.person_id, actual=person.pk)
        opened, session_handle = open_or_renew(session, person, identity_provider, judged.assertion, attempt=attempt)
        attempt.outcome = Trace.Outcome.SUCCEEDED
        record(
            catalogue.LOGIN_SUCCEEDED,
            actor=attempt.actor,
            subject=("session", opened.pk),
            connection=identity_provider.slug,
            application=login.application.slug,
            fresh=True,
            unsolicited=True,
        )
    return Step(answer=Answer(start_of(login.application)), session_handle=session_handle)


def _application(identity_provider: IdentityProvider, relay_state: str) -> Application:
    """The application that RelayState names by its slug, or the one of the setting where it names none."""
    usable = Application.objects.filter(enabled=True, retired_at=None)
    named = {"slug": relay_state} if relay_state else {"pk": identity_provider.idp_initiated_application_id}
    found = None if "\0" in relay_state else usable.filter(**named).first()
    if found is None:
        expected = "the slug of an application as RelayState, or a setting that names one"
        raise BrokerError("signon.no_application", expected=expected, actual=relay_state[:100] or "none")
    return found


def _place(handle: str) -> str:
    return f"signon.LoginRequest.raw_answer.{handle}"
