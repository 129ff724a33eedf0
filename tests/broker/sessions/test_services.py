"""A session opens doors while it lives, its person's account is open and its identity provider in use."""

from datetime import timedelta

import pytest
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.events.models import Event
from broker.sessions import services
from broker.sessions.models import Session
from tests.factories import make_client, make_identity_provider, make_person, make_session

pytestmark = pytest.mark.django_db
HANDLE = "the-session's-handle"


def opened(**fields):
    identity_provider = make_identity_provider()
    told = {
        "identity_provider": identity_provider,
        "authenticated_at": timezone.now(),
        "context": "c",
        "methods": [],
        "upstream": {},
    } | fields
    return services.open_session(make_person(organisation=identity_provider.organisation), **told)


def test_a_session_is_found_by_its_handle_which_is_stored_nowhere():
    session, handle = opened()
    assert services.find_live_session(handle, now=timezone.now()) == session
    assert handle not in str(Session.objects.values().get())


@pytest.mark.parametrize("handle", ["", "x", "the-session's-handl", "\x00" * 40, "x" * 100_000])
def test_another_handle_finds_nothing(handle):
    make_session()
    assert services.find_live_session(handle, now=timezone.now()) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda session: Session.objects.update(ended_at=timezone.now()),
        lambda session: Session.objects.update(expires_at=timezone.now()),
        lambda session: Session.objects.update(last_used_at=timezone.now() - limits.SESSION_IDLE),
        lambda session: type(session.person).objects.update(is_active=False),
        lambda session: type(session.identity_provider).objects.update(enabled=False),
        lambda session: type(session.identity_provider).objects.update(retired_at=timezone.now()),
    ],
    ids=["ended", "expired", "idle", "person closed", "provider disabled", "provider retired"],
)
def test_a_session_that_may_not_be_used_is_not_found(change):
    session = make_session()
    assert services.find_live_session(HANDLE, now=timezone.now()) == session
    change(session)
    assert services.find_live_session(HANDLE, now=timezone.now()) is None


def test_the_identity_providers_own_end_is_kept():
    until = timezone.now() + timedelta(minutes=5)
    assert opened(until=until)[0].expires_at == until
    assert opened(until=until + timedelta(days=9))[0].expires_at < until + timedelta(days=1)


def test_an_application_keeps_its_sid():
    session, client, now = make_session(), make_client(), timezone.now()
    first = services.join(session, application=client.application, client=client, now=now)
    again = services.join(session, application=client.application, client=client, now=now)
    assert first.pk == again.pk


def test_a_session_ends_once_and_for_good():
    session = make_session()
    assert services.end_session(session, reason="signed out", actor=SYSTEM)
    assert not services.end_session(session, reason="again", actor=SYSTEM)
    session.refresh_from_db()
    assert session.end_reason == "signed out"
    assert Event.objects.filter(type="session.ended").count() == 1


def test_renewing_does_not_raise_the_dead():
    session = make_session()
    services.end_session(Session.objects.get(), reason="signed out", actor=SYSTEM)
    handle = services.renew_session(
        session,
        identity_provider=session.identity_provider,
        authenticated_at=timezone.now(),
        context="",
        methods=[],
        upstream={},
    )
    assert services.find_live_session(handle, now=timezone.now()) is None


def test_use_is_written_at_most_once_a_minute(django_assert_num_queries):
    session = make_session()
    with django_assert_num_queries(0):
        services.touch(session, now=timezone.now())
    with django_assert_num_queries(1):
        services.touch(session, now=timezone.now() + limits.SESSION_TOUCH_INTERVAL)


def test_sessions_past_their_retention_are_forgotten():
    make_session()
    now = timezone.now() + limits.SESSION_RETENTION
    assert services.forget_ended(now=now) == 0
    assert services.forget_ended(now=now + limits.SESSION_ABSOLUTE + timedelta(seconds=1)) == 1
