"""Sign-ons under way in the console."""

from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.utils import timezone

from federation.signon.models import LoginRequest
from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console
from tests.factories import make_client, make_identity_provider

__all__ = ["console", "make_operator", "sign_in", "viewer_console"]
pytestmark = pytest.mark.django_db


def test_a_sign_on_is_shown_without_what_would_let_somebody_take_it_over(
    console: Browser, viewer_console: Browser
) -> None:
    client, now = make_client(), timezone.now()
    row = LoginRequest.objects.create(
        trace_id="ABCDE-12345",
        relay_state="canary-relay",
        browser_hash="canary-hash",
        state="waiting",
        application=client.application,
        client=client,
        asked={"state": "canary-asked"},
        identity_provider=make_identity_provider(),
        raw_answer="canary-answer",
        created_at=now,
        expires_at=now + timedelta(minutes=5),
    )

    for browser in (console, viewer_console):
        found = browser.get("/admin/signon/loginrequest/?q=ABCDE").content.decode()
        page = browser.get(f"/admin/signon/loginrequest/{row.pk}/change/")
        assert page.status_code == 200
        assert "ABCDE-12345" in found
        assert "canary" not in found + page.content.decode()
        assert browser.post(f"/admin/signon/loginrequest/{row.pk}/change/", {}).status_code == 403
