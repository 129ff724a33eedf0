"""Grants in the console: read by all, revoked by operators, changed and deleted by nobody."""

import pytest
from django.test import Client as Http
from django.utils import timezone

from broker.console.models import Operator
from broker.events.models import Event
from broker.tokens.models import Grant, RefreshToken

pytestmark = pytest.mark.django_db
ADDRESS = "/admin/tokens/grant/"


def enter(email: str, role: str) -> Http:
    operator = Operator(email=email, name="Ada", role=role, must_change_password=False, created_at=timezone.now())
    operator.set_password("correct-horse-battery")
    operator.save()
    browser = Http()
    browser.post("/admin/login/", {"username": email, "password": "correct-horse-battery"})
    return browser


def revoke(browser: Http, grant: Grant):
    return browser.post(ADDRESS, {"action": "revoke", "_selected_action": [str(grant.pk)]}, follow=True)


def test_an_operator_revokes_a_grant_by_name(desk):
    tokens = desk.offline_tokens()
    browser = enter("ada@acme.example", Operator.Role.OPERATOR)
    assert "1 grants revoked" in revoke(browser, Grant.objects.get()).content.decode()
    event = Event.objects.get(type="grant.revoked")
    assert (event.actor_kind, event.actor_id, event.details["reason"]) == ("operator", "ada@acme.example", "operator")
    assert desk.refresh(tokens["refresh_token"]).status_code == 400


def test_a_viewer_reads_and_revokes_nothing(desk):
    desk.offline_tokens()
    browser = enter("vic@acme.example", Operator.Role.VIEWER)
    grant = Grant.objects.get()
    assert desk.client.client_id in browser.get(ADDRESS).content.decode()
    revoke(browser, grant)
    grant.refresh_from_db()
    assert grant.revoked_at is None


@pytest.mark.parametrize("role", [Operator.Role.OPERATOR, Operator.Role.VIEWER])
def test_nobody_adds_changes_or_deletes_a_grant(desk, role):
    desk.offline_tokens()
    grant = Grant.objects.get()
    browser = enter("ada@acme.example", role)
    assert browser.get(f"{ADDRESS}add/").status_code == 403
    assert browser.post(f"{ADDRESS}{grant.pk}/delete/", {"post": "yes"}).status_code == 403
    assert browser.post(f"{ADDRESS}{grant.pk}/change/", {"scopes": "[]"}).status_code == 403
    assert Grant.objects.count() == 1


def test_no_page_shows_a_token_or_its_hash(desk):
    tokens = desk.offline_tokens()
    browser = enter("ada@acme.example", Operator.Role.OPERATOR)
    pages = browser.get(ADDRESS).content.decode()
    pages += browser.get(f"{ADDRESS}{Grant.objects.get().pk}/change/").content.decode()
    assert browser.get(f"{ADDRESS}?q=alice").status_code == 200
    for value in (*tokens.values(), RefreshToken.objects.get().token_hash):
        if isinstance(value, str) and len(value) > 20:
            assert value not in pages
