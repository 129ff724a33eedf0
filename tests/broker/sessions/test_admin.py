"""Sessions in the console: read by all, ended by operators, never with what opens them."""

from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.models import Delivery
from broker.events.models import Event
from broker.sessions.models import Session
from broker.sessions.services import end_session
from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console
from tests.factories import make_participant, make_session

__all__ = ["console", "make_operator", "sign_in", "viewer_console"]
pytestmark = pytest.mark.django_db


def test_sessions_are_shown_without_the_hash_of_their_cookie(console: Browser, viewer_console: Browser) -> None:
    participant = make_participant()
    session = participant.session
    slug = participant.application.slug

    for browser in (console, viewer_console):
        page = browser.get(f"/admin/sso_sessions/session/{session.pk}/change/")
        assert page.status_code == 200
        assert session.handle_hash not in page.content.decode()
        assert browser.get("/admin/sso_sessions/session/?state=live").content.decode().count(str(session.pk)) > 0
        assert slug in browser.get("/admin/sso_sessions/session/").content.decode()
        assert str(participant.application) in page.content.decode()
        assert str(session.pk) not in browser.get("/admin/sso_sessions/session/?state=over").content.decode()


def test_an_operator_ends_a_session_and_a_viewer_does_not(console: Browser, viewer_console: Browser) -> None:
    session = make_session()
    form = {"action": "end", "_selected_action": [str(session.pk)]}

    viewer_console.post("/admin/sso_sessions/session/", form)
    assert Session.objects.get().ended_at is None

    console.post("/admin/sso_sessions/session/", form)
    assert Session.objects.get().ended_at is not None
    assert Event.objects.get(type="session.ended").actor_id == "ada@acme.example"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("confirmed", "acknowledged 2026-11-23 12:00:00"),
        ("dead", "not acknowledged (logout.refused)"),
        ("skipped", "not acknowledged (logout.refused)"),
        ("retrying", "waiting since 2026-11-23 11:00:00, last answer logout.refused"),
    ],
)
def test_each_application_is_shown_with_what_the_ledger_knows_of_telling_it(console: Browser, state, words) -> None:
    participant = make_participant()
    end_session(participant.session, reason="operator", actor=SYSTEM)
    noon = timezone.now().replace(year=2026, month=11, day=23, hour=12, minute=0, second=0)
    is_over = state != "retrying"
    Delivery.objects.create(
        kind="logout.oidc",
        lane="client:x",
        subject="session:x",
        reference=participant.reference,
        state=state,
        reason="logout.refused",
        due_at=noon,
        created_at=noon - timedelta(hours=1),
        settled_at=noon if is_over else None,
    )
    assert words in console.get(f"/admin/sso_sessions/session/{participant.session_id}/change/").content.decode()


def test_who_is_not_told_is_named_with_the_reason(console: Browser) -> None:
    participant = make_participant()

    def page() -> str:
        return console.get(f"/admin/sso_sessions/session/{participant.session_id}/change/").content.decode()

    assert "the session goes on" in page()
    Session.objects.update(expires_at=timezone.now())
    assert "the session ran out, nobody ended it" in page()
    end_session(participant.session, reason="operator", actor=SYSTEM)
    assert "not told yet" in page()
    Session.objects.update(ended_at=timezone.now() - limits.LOGOUT_MISSED_WITHIN)
    assert "cannot be told: it names no address for it" in page()
