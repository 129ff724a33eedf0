"""People in the console: read by all, closed and opened by operators, links taken away."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from broker.actors import SYSTEM
from broker.directory.evidence import address_of
from broker.directory.models import (
    AuthorityRule,
    Conflict,
    Group,
    Identifier,
    LinkedIdentity,
    Membership,
    Person,
)
from broker.directory.rules import schedule_rule
from broker.events.models import Event
from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console
from tests.broker.directory.sources import HR, LOGIN, fresh, say
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


# --- Why a value is so ----------------------------------------------------------------------------------------------


@pytest.fixture
def torn(person: Person) -> Person:
    """Somebody of whom HR and a login say different things."""
    say(HR, person, title="Engineer", active="true")
    say(LOGIN, person, title="Wizard")
    return fresh(person)


def page(browser: Browser, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, answer
    return str(answer.content.decode())


def test_the_persons_page_shows_every_value_with_its_source_and_evidence(viewer_console: Browser, torn: Person) -> None:
    text = page(viewer_console, f"/admin/directory/person/{torn.pk}/change/")
    for shown in ("Engineer", "scim:workday", "in force", "Wizard", "idp:acme-entra", "in conflict", "journal:1"):
        assert shown in text
    assert "before sources were recorded" in text


def test_evidence_is_linked_where_it_is_kept(settings: Any) -> None:
    assert address_of("trace:ABCDE-FGHIJ").endswith("/traces/trace/ABCDE-FGHIJ/change/")
    assert address_of("rule:7").endswith("/authorityrule/7/change/")
    assert address_of("journal:ABCDE").endswith("?q=ABCDE")
    settings.EVIDENCE_PAGES = {"journal": "admin:nowhere_changelist"}
    for unknown in ("", "trace:", "import:1", "journal:1", "nothing"):
        assert address_of(unknown) == ""


def test_an_account_that_hr_closed_is_said_to_stay_closed(console: Browser, torn: Person) -> None:
    say(HR, torn, active="false")
    answer = console.post(
        "/admin/directory/person/", {"action": "open_accounts", "_selected_action": [str(torn.pk)]}, follow=True
    )
    assert "1 stay closed" in answer.content.decode()
    assert not fresh(torn).is_active


# --- Conflicts ------------------------------------------------------------------------------------------------------


def test_conflicts_are_listed_until_they_are_settled(console: Browser, viewer_console: Browser, torn: Person) -> None:
    conflict = Conflict.objects.get()
    address = f"/admin/directory/conflict/{conflict.pk}/change/"
    assert "idp:acme-entra" in page(viewer_console, "/admin/directory/conflict/")
    text = page(viewer_console, address)
    assert "Wizard" in text
    assert "Keep what is in force" not in text
    assert "Keep what is in force" in page(console, address)
    console.post(address, {"note": "HR is right"})
    conflict.refresh_from_db()
    assert (conflict.state, conflict.note, conflict.resolved_by) == ("kept", "HR is right", "operator:ada@acme.example")
    assert address not in page(console, "/admin/directory/conflict/")
    assert address in page(console, "/admin/directory/conflict/?state=all")


def test_a_viewer_settles_nothing(viewer_console: Browser, torn: Person) -> None:
    conflict = Conflict.objects.get()
    address = f"/admin/directory/conflict/{conflict.pk}"
    assert viewer_console.post(f"{address}/change/", {"note": "x"}).status_code == 403
    assert viewer_console.get(f"{address}/win/").status_code == 403
    assert viewer_console.post(f"{address}/win/", {"expected": "1"}).status_code == 403
    assert viewer_console.get("/admin/directory/authorityrule/add/").status_code == 403
    conflict.refresh_from_db()
    assert conflict.state == "open"
    assert not AuthorityRule.objects.exists()


def test_a_source_wins_after_its_simulation_was_looked_at(console: Browser, torn: Person) -> None:
    address = f"/admin/directory/conflict/{Conflict.objects.get().pk}/win/"
    text = page(console, address)
    assert "would change <b>1</b>" in text
    assert 'name="expected" value="1"' in text
    assert "another number of people" in console.post(address, {"expected": "7"}).content.decode()
    assert "another number of people" in console.post(address, {"note": ""}).content.decode()
    assert not AuthorityRule.objects.exists()
    console.post(address, {"expected": "1", "note": "they know better"})
    assert AuthorityRule.objects.get().sources[0] == "idp:acme-entra"
    assert Conflict.objects.get().state == "scheduled"
    assert "they know better" in page(console, f"/admin/directory/conflict/{Conflict.objects.get().pk}/change/")


def test_a_conflict_that_is_over_or_not_there_is_said_to_be(console: Browser, torn: Person) -> None:
    conflict = Conflict.objects.get()
    say(LOGIN, torn, title="Engineer")
    assert "It is over" in page(console, f"/admin/directory/conflict/{conflict.pk}/change/")
    answer = console.post(f"/admin/directory/conflict/{conflict.pk}/change/", {"note": "x"}, follow=True)
    assert "The conflict is over" in answer.content.decode()
    for key in ("0", "x"):
        assert console.get(f"/admin/directory/conflict/{key}/change/").status_code == 404


# --- Rules ----------------------------------------------------------------------------------------------------------

ADD = "/admin/directory/authorityrule/add/"
RULE = {"attribute": "title", "sources": "idp:*\nscim:workday"}


def test_a_rule_is_simulated_before_it_can_be_scheduled(console: Browser, torn: Person) -> None:
    assert "Schedule it" not in page(console, ADD)
    assert not AuthorityRule.objects.exists()
    text = console.post(ADD, {**RULE, "act": "schedule"}).content.decode()
    assert "would change <b>1</b>" in text, "who did not look is shown it"
    assert not AuthorityRule.objects.exists()
    answer = console.post(ADD, {**RULE, "act": "schedule", "expected": "1", "note": "n"}, follow=True)
    assert "It is scheduled" in answer.content.decode()
    rule = AuthorityRule.objects.get()
    assert (rule.sources, rule.created_by) == (["idp:*", "scim:workday"], "operator:ada@acme.example")
    assert "idp:*, scim:workday" in page(console, "/admin/directory/authorityrule/")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sources": "hr"}, "cannot be a rule"),
        ({"attribute": "groups"}, "no name of an attribute"),
        ({"attribute": ""}, "required"),
        ({"valid_from": "tomorrow"}, "valid date"),
        ({"expected": "4"}, "another number of people"),
        ({"valid_from": "2001-01-01T00:00"}, "still to come"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_on_its_page(
    console: Browser, torn: Person, changed: dict[str, str], said: str
) -> None:
    answer = console.post(ADD, {**RULE, "act": "schedule", "expected": "1"} | changed)
    assert said in answer.content.decode()
    assert not AuthorityRule.objects.exists()


def test_a_simulation_of_nobody_is_not_shown_as_a_success(console: Browser, torn: Person) -> None:
    text = console.post(ADD, {"attribute": "tittle", "sources": "idp:*", "act": "simulate"}).content.decode()
    assert "proves nothing" in text


def test_a_rule_is_taken_back_on_its_page(console: Browser, viewer_console: Browser, torn: Person) -> None:
    begins = timezone.now() + timedelta(days=1)
    rule, _ = schedule_rule("title", ["idp:*"], valid_from=begins, actor=SYSTEM)
    address = f"/admin/directory/authorityrule/{rule.pk}"
    assert "Take it back" not in page(viewer_console, f"{address}/change/")
    assert viewer_console.post(f"{address}/withdraw/").status_code == 403
    assert "Take it back" in page(console, f"{address}/change/")
    console.post(f"{address}/withdraw/")
    rule.refresh_from_db()
    assert rule.state == "withdrawn"
    answer = console.post(f"/admin/directory/authorityrule/{rule.pk}/change/", {"attribute": "email"})
    assert answer.status_code == 403
