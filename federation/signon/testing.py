"""Trying out an identity provider: a real round trip, judged like any sign-on, that leaves nothing behind but a trace.

The answer takes the same way as an application's sign-on: the same connector, mapping, authority and linking. Only the
last step differs: what a sign-on would write is rehearsed and rolled back.
"""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from broker import crypto, limits
from broker.actors import Actor, ActorKind
from broker.directory.linking import find_linked_identity
from broker.directory.models import Person
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.registry.models import Application, IdentityProvider
from broker.registry.services import find_identity_provider
from broker.traces.models import Trace
from federation.assertions import Answer, VerifiedAssertion
from federation.claims.release import CLAIMS_OF_SCOPE, release_claims
from federation.signon.admission import identify
from federation.signon.attempts import Attempt
from federation.signon.judging import Judged, judge
from federation.signon.models import LoginRequest
from federation.signon.steps import Step, is_relay_state, make_relay_state, send_upstream

State, Purpose = LoginRequest.State, LoginRequest.Purpose
HOP = "test of a connection"
ACCOUNT_NOTE = "Account."
RELEASE_NOTE = "Release to "
"""Followed by the application's slug."""


def prepare_test(identity_provider: IdentityProvider, *, browser: str = "", actor: Actor) -> LoginRequest:
    """A test of `identity_provider`, enabled or not, for `actor` to begin by opening `address_of` it.

    `browser` is the value of the flow cookie of the browser that may do so; empty: the first that opens the address.
    """
    now = timezone.now()
    return LoginRequest.objects.create(
        trace_id=actor.trace_id,
        purpose=Purpose.TEST,
        started_by=f"{actor.kind}:{actor.identifier}",
        relay_state=make_relay_state(),
        browser_hash=crypto.keyed_hash(browser, purpose="flow") if browser else "",
        state=State.CHOOSING,
        asked={},
        identity_provider=identity_provider,
        created_at=now,
        expires_at=now + limits.LOGIN_REQUEST_LIFETIME,
    )


def address_of(login: LoginRequest) -> str:
    """Where the test begins."""
    return f"{settings.BROKER_BASE_URL}{reverse('begin_test')}?flow={login.relay_state}"


def claim_test(relay_state: str, *, browser: str) -> None:
    """A prepared test that belongs to no browser yet belongs to this one from now on."""
    if is_relay_state(relay_state):
        unclaimed = LoginRequest.objects.filter(
            relay_state=relay_state, purpose=Purpose.TEST, state=State.CHOOSING, browser_hash=""
        )
        unclaimed.update(browser_hash=crypto.keyed_hash(browser, purpose="flow"))


def begin_test(login: LoginRequest, *, attempt: Attempt) -> Step:
    """Ask the identity provider. Raises BrokerError: signon.unknown, and what its connector raises."""
    if login.purpose != Purpose.TEST or login.state not in {State.CHOOSING, State.WAITING}:
        raise BrokerError("signon.unknown", expected="a test without an answer", actual=login.state)
    identity_provider = find_identity_provider(login.identity_provider.slug) if login.identity_provider else None
    if identity_provider is None or identity_provider.pk != login.identity_provider_id:
        raise BrokerError("signon.no_identity_provider", detail="it was retired since the test began")
    return send_upstream(login, identity_provider, attempt=attempt)


def is_under_test(identity_provider: IdentityProvider, *, relay_state: str) -> bool:
    """Whether an answer under this handle belongs to a test, which a disabled identity provider may answer too."""
    tests = LoginRequest.objects.filter(
        relay_state=relay_state, identity_provider=identity_provider, purpose=Purpose.TEST
    )
    return is_relay_state(relay_state) and tests.exists()


def conclude_test(
    login: LoginRequest, identity_provider: IdentityProvider, assertion: VerifiedAssertion, *, attempt: Attempt
) -> Step:
    """Everything that a verified assertion would change, rehearsed, and what applications would be told.

    Raises BrokerError as the sign-on would.
    """
    judged = judge(login, identity_provider, assertion, attempt=attempt)
    tester = attempt.actor
    try:
        with transaction.atomic():
            _rehearse(identity_provider, judged, attempt=attempt)
            transaction.set_rollback(True)
    finally:
        attempt.actor = tester
    attempt.outcome = Trace.Outcome.SUCCEEDED
    record(catalogue.CONNECTION_TESTED, actor=tester, connection=identity_provider.slug)
    return Step(answer=Answer(attempt.result_url or reverse("test_is_over")))


def mark_attempt(login: LoginRequest, *, attempt: Attempt) -> None:
    """From here on the attempt is a test: who tests is its actor, and its end is told to them."""
    kind, _, identifier = login.started_by.partition(":")
    attempt.is_test = True
    attempt.actor = attempt.actor.acting_as(ActorKind(kind), identifier)
    if kind == ActorKind.OPERATOR:
        attempt.result_url = reverse("connection_test_result", args=[login.trace_id])


def _rehearse(identity_provider: IdentityProvider, judged: Judged, *, attempt: Attempt) -> None:
    # As it would be once people are sent there: nothing is released of an identity provider that is not enabled.
    IdentityProvider.objects.filter(pk=identity_provider.pk).update(enabled=True)
    assertion = judged.assertion
    is_linked = find_linked_identity(identity_provider, issuer=assertion.issuer, subject=assertion.subject) is not None
    person = identify(identity_provider, judged, attempt=attempt)
    attempt.trace.note(ACCOUNT_NOTE, subject=assertion.subject, outcome=_account(person, is_linked=is_linked))
    applications = Application.objects.filter(enabled=True, retired_at=None).order_by("slug")
    for application in applications[: limits.RELEASE_PREVIEWS]:
        released = release_claims(person=person, application=application, scopes=CLAIMS_OF_SCOPE)
        attempt.trace.note(
            f"{RELEASE_NOTE}{application.slug}",
            **{claim: _told(value) for claim, value in sorted(released.items())},
        )


def _told(value: Any) -> str:
    """A released value as a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(value) if isinstance(value, list) else str(value)


def _account(person: Person, *, is_linked: bool) -> str:
    if is_linked:
        return "known: this login belongs to a person who is recorded here"
    # Only a match finds a person whom HR recorded; a new one has no key of theirs.
    if person.external_id is not None:
        return "matched: it would be joined to the person whom HR recorded"
    return "new: the first sign-on would record a person"
