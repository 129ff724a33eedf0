"""Grants in the console: read by all, revoked by operators, changed and deleted by nobody."""

import pytest
from django.test import Client as Http
from django.utils import timezone

from broker.console.models import Operator
from broker.events.models import Event
from broker.tokens.models import Grant, RefreshToken
from tests.broker.tokens.test_revocation import exchanged_from

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
    for name in ("access_token", "refresh_token", "id_token"):
        assert tokens[name] not in pages
    assert RefreshToken.objects.get().token_hash not in pages


def test_a_grant_shows_whom_it_is_about_who_acts_and_what_came_of_it(gate):
    gate.service_token()
    grant = Grant.objects.get()
    child = exchanged_from(grant, client=gate.stranger, actors=[{"sub": "x", "client_id": "the-actor"}])
    browser = enter("ada@acme.example", Operator.Role.VIEWER)
    page = browser.get(f"{ADDRESS}{grant.pk}/change/").content.decode()
    assert gate.resource.identifier in page
    assert str(child.pk) in page
    assert "the-actor" in browser.get(f"{ADDRESS}{child.pk}/change/").content.decode()
    listed = browser.get(ADDRESS, {"grant_type": "token_exchange"}).content.decode()
    assert str(child.pk) in listed
    assert str(grant.pk) not in listed


HOLDERS = {
    "client": lambda gate: f"/admin/registry/client/{gate.service.pk}/",
    "person": lambda gate: f"/admin/directory/person/{gate.desk.person.pk}/",
}


@pytest.mark.parametrize("kind", HOLDERS)
def test_an_operator_sees_and_ends_all_that_somebody_holds(gate, kind):
    gate.service_token()
    gate.person_tokens()
    page = HOLDERS[kind](gate)
    browser = enter("ada@acme.example", Operator.Role.OPERATOR)
    shown = browser.get(f"{page}change/").content.decode()
    assert gate.resource.identifier in shown
    assert "End what it holds" in shown
    address = f"{page}end-holdings/"
    asked = browser.get(address)
    assert asked.status_code == 200
    assert not Grant.objects.exclude(revoked_at=None).exists()
    done = browser.post(address, follow=True)
    assert "1 grants of" in done.content.decode()
    assert Grant.objects.exclude(revoked_at=None).count() == 1
    event = Event.objects.get(type="holdings.revoked")
    assert (event.actor_kind, event.actor_id, event.subject_kind) == ("operator", "ada@acme.example", kind)


@pytest.mark.parametrize("kind", HOLDERS)
def test_a_viewer_sees_and_ends_nothing(gate, kind):
    gate.service_token()
    gate.person_tokens()
    page = HOLDERS[kind](gate)
    browser = enter("vic@acme.example", Operator.Role.VIEWER)
    shown = browser.get(f"{page}change/").content.decode()
    assert gate.resource.identifier in shown
    assert "end-holdings" not in shown
    assert browser.post(f"{page}end-holdings/").status_code in {302, 403}
    assert not Grant.objects.exclude(revoked_at=None).exists()
