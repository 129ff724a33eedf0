"""People in the console: read by all, closed and opened by operators, links taken away."""

import pytest
from django.test import Client as Browser

from broker.directory.models import Group, Identifier, LinkedIdentity, Membership, Person
from broker.events.models import Event
from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console
from tests.factories import link, make_identity_provider, make_person

__all__ = ["console", "make_operator", "sign_in", "viewer_console"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def person(db: None) -> Person:
    provider = make_identity_provider()
    made = make_person(organisation=provider.organisation)
    now = made.created_at
    link(made, provider, "alice")
    Identifier.objects.create(person=made, kind="email", value="Alice@acme.example", comparable="x", since=now)
    group = Group.objects.create(identity_provider=provider, name="staff")
    Membership.objects.create(person=made, group=group, since=now)
    return made


@pytest.mark.parametrize("model", ["person", "group", "linkedidentity"])
def test_lists_and_pages_open_for_operators_and_viewers(
    console: Browser, viewer_console: Browser, person: Person, model: str
) -> None:
    row = {"person": person, "group": Group.objects.get(), "linkedidentity": LinkedIdentity.objects.get()}[model]

    for browser in (console, viewer_console):
        assert browser.get(f"/admin/directory/{model}/").status_code == 200
        assert browser.get(f"/admin/directory/{model}/{row.pk}/change/").status_code == 200


def test_a_person_is_found_by_the_subject_of_a_link(console: Browser, person: Person) -> None:
    assert str(person.pk) in console.get("/admin/directory/person/?q=alice").content.decode()
    assert str(person.pk) not in console.get("/admin/directory/person/?q=mallory").content.decode()


def test_an_operator_closes_and_opens_accounts(console: Browser, person: Person) -> None:
    console.post("/admin/directory/person/", {"action": "close_accounts", "_selected_action": [str(person.pk)]})
    person.refresh_from_db()
    assert not person.is_active

    console.post("/admin/directory/person/", {"action": "open_accounts", "_selected_action": [str(person.pk)]})
    person.refresh_from_db()
    assert person.is_active
    events = Event.objects.filter(type__startswith="person.").values_list("type", "actor_id")
    assert set(events) == {
        ("person.deactivated", "ada@acme.example"),
        ("person.reactivated", "ada@acme.example"),
    }


def test_an_operator_takes_a_link_away(console: Browser, person: Person) -> None:
    linked = LinkedIdentity.objects.get()

    console.post("/admin/directory/linkedidentity/", {"action": "unlink", "_selected_action": [str(linked.pk)]})

    assert not LinkedIdentity.objects.exists()
    assert Event.objects.get(type="identity.unlinked").actor_id == "ada@acme.example"


def test_a_viewer_closes_nothing(viewer_console: Browser, person: Person) -> None:
    viewer_console.post("/admin/directory/person/", {"action": "close_accounts", "_selected_action": [str(person.pk)]})

    person.refresh_from_db()
    assert person.is_active


def test_nobody_writes_a_person_by_hand(console: Browser, person: Person) -> None:
    assert console.get("/admin/directory/person/add/").status_code == 403
    assert console.post(f"/admin/directory/person/{person.pk}/change/", {"name": "Mallory"}).status_code == 403
    assert console.post(f"/admin/directory/person/{person.pk}/delete/", {"post": "yes"}).status_code == 403
    person.refresh_from_db()
    assert person.name != "Mallory"
