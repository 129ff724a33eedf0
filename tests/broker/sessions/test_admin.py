"""Sessions in the console: read by all, ended by operators, never with what opens them."""

import pytest
from django.test import Client as Browser

from broker.events.models import Event
from broker.sessions.models import Session
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
