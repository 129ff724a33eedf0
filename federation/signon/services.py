"""From "an application asks" to "the application is answered": the only file that sees both doors.

Every step ends in a `Step`, and every expectation stands in the stored LoginRequest: a step never trusts what the
browser carried between two of them, only that it is the same browser.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from broker import crypto, limits
from broker.actors import ActorKind
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.http import trace_id_of
from broker.registry.models import Application, Client, IdentityProvider
from broker.sessions import services as sessions
from broker.sessions.models import Session
from broker.statements import Change, Parameter, Read, insert
from broker.traces.models import Trace
from broker.wording import in_words
from federation.assertions import Answer, SignOnRequest, VerifiedAssertion
from federation.contexts import satisfied
from federation.downstream.adapters import downstream_for
from federation.signon.admission import identify, open_or_renew
from federation.signon.attempts import Attempt
from federation.signon.entering import entry_by_assertion, entry_by_session, find_refusal_of
from federation.signon.home_realm import find_realm, usable_identity_provider
from federation.signon.judging import judge, question
from federation.signon.models import LoginRequest
from federation.signon.steps import Step, is_relay_state, make_relay_state, send_upstream
from federation.signon.testing import conclude_test, mark_attempt
from federation.upstream.connectors import connector_for

State = LoginRequest.State
ASKED = (LoginRequest.Purpose.SIGN_ON, LoginRequest.Purpose.TEST)
"""What we asked an identity provider for."""
TOLD = (
    "oauth.login_required",
    "signon.login_required",
    "signon.interaction_required",
    "signon.context_not_reached",
    "signon.not_permitted",
)
"""What an application expects to hear."""


def begin(asked: SignOnRequest, *, session: Session | None, browser: str, attempt: Attempt) -> Step:
    """An application asks: answer from the live session if it is good enough, else start a sign-on.

    `browser` is the value of the flow cookie. Raises BrokerError; one that may be told to the application is
    AuthorizationRefused or its like and is answered through `refuse`.
    """
    attempt.application = asked.application.slug
    now = timezone.now()
    check_application(asked)
    if session is not None and is_good_enough(session, asked, now=now, attempt=attempt):
        return Step(answer=_answer_from_session(asked, session, attempt=attempt, now=now))
    if asked.passive:
        raise _page_needed(session)
    realm = find_realm(asked, session=session, trace=attempt.trace)
    login = _store(asked, browser=browser, attempt=attempt, now=now)
    if realm is None:
        attempt.trace.note("The person is asked for the identity provider.")
        with transaction.atomic():
            insert(login, is_soon_durable=True)
            attempt.save()
        return Step(login=login)
    return send_upstream(login, realm, attempt=attempt, login_hint=asked.login_hint)


def choose(login: LoginRequest, *, slug: str, attempt: Attempt) -> Step:
    """The person chose an identity provider, or came back from one to choose another."""
    application_of(login)
    if login.state not in {State.CHOOSING, State.WAITING}:
        raise BrokerError("signon.unknown", expected="a sign-on without an answer", actual=login.state)
    return send_upstream(login, usable_identity_provider(slug), attempt=attempt)


def receive(identity_provider: IdentityProvider, *, relay_state: str, raw_answer: str) -> None:
    """Store an identity provider's answer, unjudged, for the same browser to come back with (by GET, so that its
    cookies arrive). Raises BrokerError: saml.unsolicited, saml.replayed.
    """
    if not is_relay_state(relay_state):
        raise _unsolicited(relay_state)
    asked = {"relay_state": relay_state, "identity_provider": identity_provider.pk}
    sealed = crypto.seal(raw_answer.encode(), context=_answer_place(relay_state))
    if not _STORE_ANSWER.count(**asked, raw_answer=sealed, now=timezone.now()):
        if LoginRequest.objects.filter(**asked, state__in=[State.ANSWERED, State.DONE]).exists():
            raise BrokerError("saml.replayed", expected="the first answer to this request", actual="another one")
        raise _unsolicited(relay_state)


def complete(
    identity_provider: IdentityProvider,
    *,
    relay_state: str,
    browser: str,
    session: Session | None,
    attempt: Attempt,
) -> Step:
    """The browser came back with the answer that `receive` stored: judge it, and answer the application."""
    login = _find_login_at(identity_provider, relay_state, browser=browser, attempt=attempt)
    # The row is taken as it was read: an answer that came between the two is not in our hands yet.
    if login.state != State.ANSWERED or not consume(login, State.ANSWERED):
        raise BrokerError(
            "saml.replayed", expected="an answer nobody judged yet", actual=f"login request is {login.state}"
        )
    raw_answer = crypto.unseal(login.raw_answer, context=_answer_place(login.relay_state)).decode()
    return _judge(login, identity_provider, raw_answer, session=session, attempt=attempt)


def complete_directly(
    identity_provider: IdentityProvider,
    *,
    relay_state: str,
    raw_answer: str,
    browser: str,
    session: Session | None,
    attempt: Attempt,
) -> Step:
    """The browser brought the answer itself (by GET, so its cookies came too): judge it, and answer the application.

    The sign-on is used up before its answer is looked at: whatever is wrong with it, it is not tried twice.
    """
    login = _find_login_at(identity_provider, relay_state, browser=browser, attempt=attempt)
    if not consume(login, State.WAITING):
        raise BrokerError("oidc.replayed", detail=f"login request is {login.state}")
    return _judge(login, identity_provider, raw_answer, session=session, attempt=attempt)


def find_login(relay_state: str, *, browser: str, attempt: Attempt, purposes: Collection[str] = ASKED) -> LoginRequest:
    """The sign-on under way of exactly this browser, for one of the `purposes`.

    Raises BrokerError: signon.unknown, .expired, .other_browser.
    """
    login = _FIND.first(relay_state=relay_state) if is_relay_state(relay_state) else None
    if login is None or login.purpose not in purposes:
        raise BrokerError("signon.unknown", detail="no sign-on under this handle")
    attempt.continues(login.trace_id)
    attempt.asked = login.asked
    attempt.application = login.application.slug if login.application else ""
    attempt.connection = login.identity_provider.slug if login.identity_provider else ""
    if not browser or login.browser_hash not in crypto.keyed_hashes(browser, purpose="flow"):
        raise BrokerError(
            "signon.other_browser",
            expected="the cookie of the browser that began",
            actual="another" if browser else "none",
        )
    if login.purpose == LoginRequest.Purpose.TEST:
        mark_attempt(login, attempt=attempt)
    if login.expires_at <= timezone.now():
        raise BrokerError("signon.expired", expected=f"an answer within {in_words(limits.LOGIN_REQUEST_LIFETIME)}")
    return login


def application_of(login: LoginRequest) -> Application:
    """The application that asked. Raises signon.unknown for a login request of another purpose."""
    if login.purpose != LoginRequest.Purpose.SIGN_ON or login.application is None:
        raise BrokerError("signon.unknown", expected="an application's sign-on", actual=login.purpose)
    return login.application


def _find_login_at(
    identity_provider: IdentityProvider, relay_state: str, *, browser: str, attempt: Attempt
) -> LoginRequest:
    """The sign-on of this browser that was sent to just this identity provider. Raises BrokerError: signon.*."""
    login = find_login(relay_state, browser=browser, attempt=attempt)
    if login.identity_provider_id != identity_provider.pk:
        raise BrokerError("signon.unknown", detail="the answer came in at another identity provider's address")
    return login


def consume(login: LoginRequest, state: LoginRequest.State) -> bool:
    """Take the sign-on out of `state` for good; False when somebody else did, or when it was sent elsewhere since."""
    return bool(_CONSUME.count(id=login.pk, state=state, upstream_request_id=login.upstream_request_id))


def may_be_told(error: BrokerError) -> bool:
    """Whether the application expects to hear of this refusal; every other one is for the person to read."""
    return error.code in TOLD


def refuse(asked: dict[str, Any], error: BrokerError) -> Answer:
    """Tell the application of a refusal, in its own protocol."""
    return downstream_for(asked).refuse(asked, error)


def forget_expired(*, now: datetime) -> int:
    """Delete sign-ons whose time is over. Returns how many."""
    deleted, _ = LoginRequest.objects.filter(expires_at__lt=now - limits.LOGIN_REQUEST_LIFETIME).delete()
    return deleted


def check_application(asked: SignOnRequest) -> None:
    """The application and its client are in use. Raises BrokerError("signon.application_disabled")."""
    _check_in_use(asked.application, asked.client)


def _check_in_use(application: Application, client: Client | None) -> None:
    if not application.enabled or (client is not None and not client.enabled):
        raise BrokerError("signon.application_disabled", detail=application.slug)


def is_good_enough(session: Session, asked: SignOnRequest, *, now: datetime, attempt: Attempt) -> bool:
    """Whether the live session answers this request without going upstream."""
    if asked.force or asked.choose:
        attempt.trace.note("The application wants a fresh authentication or another account.")
        return False
    if asked.max_age is not None and now - session.authenticated_at > timedelta(seconds=asked.max_age):
        attempt.trace.note("The session's authentication is older than max_age.", max_age=asked.max_age)
        return False
    if asked.contexts and satisfied(session.context, asked.contexts) is None:
        attempt.trace.note("The session is too weak.", asked=", ".join(asked.contexts), reached=session.context)
        return False
    if asked.identity_provider_hint and asked.identity_provider_hint != session.identity_provider.slug:
        attempt.trace.note("The application names another identity provider than the session's.")
        return False
    return True


def _page_needed(session: Session | None) -> BrokerError:
    """The refusal of a passive request that the session, if there is one, does not answer."""
    if session is None:
        return BrokerError("signon.login_required", expected="a live session", actual="none")
    return BrokerError(
        "signon.interaction_required", expected="a session that is good enough", actual="one that is not"
    )


def _store(asked: SignOnRequest, *, browser: str, attempt: Attempt, now: datetime) -> LoginRequest:
    """The login request of a new sign-on, not yet saved: its next step does that."""
    force = asked.force or asked.max_age == 0
    authenticated_after = now if force else None
    if asked.max_age and not force:
        authenticated_after = now - timedelta(seconds=asked.max_age)
    return LoginRequest(
        trace_id=trace_id_of(attempt.request),
        relay_state=make_relay_state(),
        browser_hash=crypto.keyed_hash(browser, purpose="flow"),
        state=State.CHOOSING,
        application=asked.application,
        client=asked.client,
        asked=asked.asked,
        # Where an old authentication or the same account will not do, the identity provider has to be told so.
        force=force or asked.choose or asked.max_age is not None,
        authenticated_after=authenticated_after,
        contexts=list(asked.contexts),
        must_reach_context=asked.must_reach_context,
        created_at=now,
        expires_at=now + limits.LOGIN_REQUEST_LIFETIME,
    )


def _answer_from_session(asked: SignOnRequest, session: Session, *, attempt: Attempt, now: datetime) -> Answer:
    attempt.actor = attempt.actor.acting_as(ActorKind.PERSON, str(session.person_id))
    attempt.connection = session.identity_provider.slug
    with transaction.atomic():
        entry = entry_by_session(session, asked.application)
        refusal = find_refusal_of(entry, attempt=attempt, now=now)
        if refusal is None:
            participant = sessions.join(session, application=asked.application, client=asked.client, now=now)
            sessions.touch(session, now=now)
            answer = downstream_for(asked.asked).respond(
                asked.asked, session=session, participant=participant, actor=attempt.actor, trace=attempt.trace
            )
            _record_success(session, asked.application.slug, attempt=attempt, fresh=False)
    if refusal is not None:
        raise refusal
    attempt.trace.note("Answered from the live session.", authenticated_at=session.authenticated_at.isoformat())
    return answer


def _judge(
    login: LoginRequest,
    identity_provider: IdentityProvider,
    raw_answer: str,
    *,
    session: Session | None,
    attempt: Attempt,
) -> Step:
    """Verify the answer to a sign-on that is consumed, and do what follows from it."""
    if login.purpose == LoginRequest.Purpose.SIGN_ON:
        attempt.returns_to = login.asked
    assertion = connector_for(identity_provider).finish(
        identity_provider, question(login, identity_provider), raw_answer, trace=attempt.trace
    )
    if login.purpose == LoginRequest.Purpose.TEST:
        return conclude_test(login, identity_provider, assertion, attempt=attempt)
    return _sign_on(login, identity_provider, assertion, session=session, attempt=attempt)


def _sign_on(
    login: LoginRequest,
    identity_provider: IdentityProvider,
    assertion: VerifiedAssertion,
    *,
    session: Session | None,
    attempt: Attempt,
) -> Step:
    """Everything that a verified assertion changes, in one transaction."""
    judged = judge(login, identity_provider, assertion, attempt=attempt)
    application = application_of(login)
    _check_in_use(application, login.client)
    now = timezone.now()
    with transaction.atomic():
        person = identify(identity_provider, judged, attempt=attempt)
        # What was said of the person stays written when they may not enter: a group that was taken away counts at
        # every other question too.
        entry = entry_by_assertion(person, application, identity_provider, judged.assertion)
        refusal = find_refusal_of(entry, attempt=attempt, now=now)
        if refusal is None:
            previous = session
            session, handle = open_or_renew(previous, person, identity_provider, judged.assertion, attempt=attempt)
            participant = sessions.join(
                session,
                application=application,
                client=login.client,
                now=now,
                is_new_session=session is not previous,
            )
            answer = downstream_for(login.asked).respond(
                login.asked, session=session, participant=participant, actor=attempt.actor, trace=attempt.trace
            )
            _record_success(session, application.slug, attempt=attempt, fresh=True, incomplete=judged.incomplete)
            attempt.save()
    if refusal is not None:
        raise refusal
    return Step(answer=answer, session_handle=handle)


def _record_success(
    session: Session, application: str, *, attempt: Attempt, fresh: bool, incomplete: Sequence[str] = ()
) -> None:
    """`incomplete`: claims that the identity provider told only in part."""
    details: dict[str, Any] = {"incomplete": list(incomplete)} if incomplete else {}
    attempt.outcome = Trace.Outcome.SUCCEEDED
    attempt.connection = session.identity_provider.slug
    record(
        catalogue.LOGIN_SUCCEEDED,
        actor=attempt.actor,
        subject=("session", session.pk),
        connection=attempt.connection,
        application=application,
        fresh=fresh,
        **details,
    )


def _answer_place(relay_state: str) -> str:
    return f"signon.LoginRequest.raw_answer.{relay_state}"


_NOT_NAMING = [field.name for field in IdentityProvider._meta.concrete_fields if field.name not in {"id", "slug"}]
"""What a sign-on under way does not need of the identity provider's row: whoever judges by it reads it anew."""
_FIND = Read[LoginRequest](
    lambda: (
        LoginRequest.objects.select_related("application", "client", "identity_provider")
        .defer(*(f"identity_provider__{name}" for name in _NOT_NAMING))
        .filter(relay_state=Parameter(LoginRequest, "relay_state"))
        .order_by()
    )
)
_STORE_ANSWER = Change(
    lambda: LoginRequest.objects.filter(
        relay_state=Parameter(LoginRequest, "relay_state"),
        identity_provider=Parameter(LoginRequest, "identity_provider"),
        state=State.WAITING,
        expires_at__gt=Parameter(LoginRequest, "expires_at", name="now"),
    ),
    is_soon_durable=True,
    state=State.ANSWERED,
    raw_answer=Parameter(LoginRequest, "raw_answer"),
)
# Whatever follows commits before it answers: that somebody signed on, or why not.
_CONSUME = Change(
    lambda: LoginRequest.objects.filter(
        id=Parameter(LoginRequest, "id"),
        state=Parameter(LoginRequest, "state"),
        upstream_request_id=Parameter(LoginRequest, "upstream_request_id"),
    ),
    is_soon_durable=True,
    state=State.DONE,
    raw_answer="",
)


def _unsolicited(relay_state: str) -> BrokerError:
    return BrokerError(
        "saml.unsolicited", expected="the RelayState of a sign-on under way", actual=relay_state[:100] or "none"
    )
