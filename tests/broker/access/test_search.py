"""Searches through HTTP: their candidates, their pages, their bounds, and what is refused."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from broker import limits
from broker.access import points
from broker.access.models import Decision
from broker.actors import SYSTEM
from broker.directory.models import Person
from broker.directory.services import set_groups
from broker.events.models import Event
from broker.registry.cache import raise_version
from tests.broker.access.gateway import Gateway, action, entity, make_gateway
from tests.factories import (
    make_application,
    make_client,
    make_identity_provider,
    make_organisation,
    make_person,
    make_resource,
)

pytestmark = pytest.mark.django_db

EVERYBODY = "permit (principal, action, resource);"
READ, ONE = action("read"), entity("record", "1")
USERS = {"subject": {"type": "user"}, "action": READ, "resource": ONE}


def records(count: int) -> list[dict[str, Any]]:
    return [entity("record", f"r{number:04}", number=number) for number in range(count)]


def many_people(count: int) -> list[str]:
    now, organisation = timezone.now(), make_organisation(domains=())
    people = [Person(organisation=organisation, created_at=now, updated_at=now) for _ in range(count)]
    Person.objects.bulk_create(people)
    return sorted(str(person.pk) for person in people)


def refused(answer: Any, code: str) -> dict[str, Any]:
    assert answer.status_code == 400, answer.content
    assert answer.json()["code"] == code
    assert "results" not in answer.json()
    return answer.json()


# --- Candidates -------------------------------------------------------------------------------------------------------
def test_people_are_found_by_their_ids_and_leavers_are_not():
    stays, leaver = make_person(), make_person(is_active=False)
    gateway = make_gateway(policy=EVERYBODY)
    found = gateway.find_all("subject", **USERS)
    assert entity("user", str(stays.pk)) in found
    assert entity("user", str(leaver.pk)) not in found


def test_groups_are_followed():
    person, other = make_person(), make_person()
    provider = make_identity_provider(slug="idp")
    set_groups(person, ["readers"], identity_provider=provider, actor=SYSTEM)
    gateway = make_gateway(policy='permit (principal in Group::"idp/readers", action, resource is record);')
    assert gateway.find_all("subject", **USERS) == [entity("user", str(person.pk))]
    assert entity("user", str(other.pk)) not in gateway.find_all("subject", **USERS)


def test_clients_are_found_as_long_as_they_are_in_use():
    on, off = (
        make_client(kind="service", application=None),
        make_client(kind="service", application=None, enabled=False),
    )
    gateway = make_gateway(policy=EVERYBODY)
    found = [one["id"] for one in gateway.find_all("subject", **{**USERS, "subject": {"type": "client"}})]
    assert on.client_id in found
    assert off.client_id not in found


def test_the_own_application_and_the_guarded_apis_are_the_resources_that_we_know():
    make_application(slug="crm")
    gateway = make_gateway(
        application=make_application(slug="erp"),
        resource_types={"application": ["open"], "api": ["call"]},
        policy=EVERYBODY,
    )
    guarded, _ = make_resource(), make_resource()
    guarded.introspectors.add(gateway.client)
    raise_version()
    asked = {"subject": entity("user", "alice"), "action": action("open")}
    assert gateway.find_all("resource", **asked, resource={"type": "application"}) == [entity("application", "erp")]
    assert gateway.find_all("resource", **asked, resource={"type": "api"}) == [entity("api", guarded.identifier)]


def test_what_is_declared_for_another_caller_is_not_found():
    make_gateway(resources=records(3))
    gateway = make_gateway(resources=[ONE], policy=EVERYBODY)
    asked = {"subject": entity("user", "alice"), "action": READ, "resource": {"type": "record"}}
    assert gateway.find_all("resource", **asked) == [ONE]


@pytest.mark.parametrize("sought", ["subject", "resource", "action"])
def test_about_what_is_not_the_caller_s_own_nothing_is_found(sought):
    make_person()
    make_gateway(resource_types={"invoice": ["pay"]}, resources=[entity("invoice", "1")])
    gateway = make_gateway(policy=EVERYBODY)
    body = {"subject": entity("user", "alice"), "action": action("pay"), "resource": entity("invoice", "1")}
    assert gateway.find_all(sought, **body) == []


def test_candidates_that_the_caller_sends_are_the_only_ones():
    gateway = make_gateway(
        resources=[ONE], policy="permit (principal, action, resource is record) when {resource has ok && resource.ok};"
    )
    candidates = [{"id": "7", "properties": {"ok": True}}, {"id": "8"}, {"id": "9", "properties": {"ok": False}}]
    asked = {"subject": entity("user", "alice"), "action": READ, "resource": {"type": "record"}}
    found = gateway.find_all("resource", **asked, page={"properties": {"candidates": candidates}})
    assert found == [entity("record", "7")]


def test_properties_of_what_is_sought_hold_for_each_candidate():
    gateway = make_gateway(
        resources=[ONE, entity("record", "2", status="archived")],
        policy='permit (principal, action, resource) when {resource has status && resource.status == "open"};',
    )
    asked = {"subject": entity("user", "alice"), "action": READ}
    sought = {"type": "record", "properties": {"status": "open"}}
    assert gateway.find_all("resource", **asked, resource=sought) == [ONE]


def test_an_action_search_looks_at_the_actions_of_the_type():
    gateway = make_gateway(
        resource_types={"record": ["read", "write"], "invoice": ["pay"]},
        policy='permit (principal, action in [Action::"write", Action::"pay"], resource);',
    )
    asked = {"subject": entity("user", "alice"), "resource": ONE}
    assert gateway.find_all("action", **asked) == [action("write")]


def test_a_search_is_in_the_book_and_leaves_no_decisions():
    gateway = make_gateway(resources=records(5), policy=EVERYBODY)
    gateway.find_all("resource", subject=entity("user", "alice"), action=READ, resource={"type": "record"})
    event = Event.objects.get(type="access.searched")
    assert event.actor_id == gateway.client.client_id
    assert event.details == {"sought": "resource", "found": 5, "examined": 5}
    assert not Decision.objects.exists()


# --- Pages ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100, 10_000])
def test_pages_of_any_size_bring_each_result_once_in_the_same_order(limit):
    wanted = records(7)
    gateway = make_gateway(resources=wanted, policy=EVERYBODY)
    asked = {"subject": entity("user", "alice"), "action": READ, "resource": {"type": "record"}}
    found = gateway.find_all("resource", **asked, page={"limit": limit})
    assert [one["id"] for one in found] == [one["id"] for one in wanted]


def test_the_last_page_is_known_to_be_the_last():
    gateway = make_gateway(resources=records(4), policy=EVERYBODY)
    asked = {"subject": entity("user", "alice"), "action": READ, "resource": {"type": "record"}}
    page = gateway.search("resource", **asked, page={"limit": 4}).json()["page"]
    assert page == {"next_token": "", "count": 4}


def test_a_limit_of_nothing_finds_nothing_and_says_that_there_is_more():
    gateway = make_gateway(resources=records(2), policy=EVERYBODY)
    asked = {"subject": entity("user", "alice"), "action": READ, "resource": {"type": "record"}}
    body = gateway.search("resource", **asked, page={"limit": 0}).json()
    assert body["results"] == []
    assert body["page"]["next_token"]


def test_a_page_holds_no_more_than_the_greatest_number_of_results():
    gateway = make_gateway(resources=records(limits.ACCESS_SEARCH_RESULTS + 5), policy=EVERYBODY)
    asked = {"subject": entity("user", "alice"), "action": READ, "resource": {"type": "record"}}
    body = gateway.search("resource", **asked, page={"limit": 100_000}).json()
    assert len(body["results"]) == limits.ACCESS_SEARCH_RESULTS
    assert len(gateway.find_all("resource", **asked)) == limits.ACCESS_SEARCH_RESULTS + 5


def test_a_search_that_stops_at_its_bound_says_so_and_goes_on():
    """The one who is permitted may be the last of all: pages before are empty, and none is the end."""
    ids = many_people(limits.ACCESS_SEARCH_CANDIDATES + 50)
    gateway = make_gateway(policy=f'permit (principal == User::"{ids[-1]}", action, resource is record);')
    first = gateway.search("subject", **USERS).json()
    assert first["results"] == []
    assert first["page"]["next_token"]
    assert first["page"]["properties"] == {
        "examined": limits.ACCESS_SEARCH_CANDIDATES,
        "stopped_at": limits.ACCESS_SEARCH_CANDIDATES,
    }
    last = gateway.search("subject", **USERS, page={"token": first["page"]["next_token"]}).json()
    assert last == {"page": {"next_token": "", "count": 1}, "results": [entity("user", ids[-1])]}


def test_a_search_that_ends_exactly_at_its_bound_is_ended():
    many_people(limits.ACCESS_SEARCH_CANDIDATES)
    gateway = make_gateway(policy='forbid (principal, action, resource == record::"1");')
    assert gateway.search("subject", **USERS).json() == {"page": {"next_token": "", "count": 0}, "results": []}


def test_one_page_asks_the_database_a_bounded_number_of_times(django_assert_max_num_queries):
    many_people(limits.ACCESS_SEARCH_CANDIDATES + 50)
    gateway = make_gateway(policy='forbid (principal, action, resource == record::"1");')
    with django_assert_max_num_queries(50):
        gateway.search("subject", **USERS)


# --- Page tokens ------------------------------------------------------------------------------------------------------
@pytest.fixture
def paged() -> tuple[Gateway, dict[str, Any], str]:
    """A gateway, a search of several pages, and the token after its first."""
    gateway = make_gateway(resources=records(5), policy=EVERYBODY)
    asked = {
        "subject": entity("user", "alice"),
        "action": READ,
        "resource": {"type": "record"},
        "context": {"ip": "192.0.2.1"},
    }
    token = gateway.search("resource", **asked, page={"limit": 2}).json()["page"]["next_token"]
    return gateway, asked, token


def test_a_follow_up_may_repeat_the_limit_or_leave_it_out(paged):
    gateway, asked, token = paged
    alone = gateway.search("resource", **asked, page={"token": token}).json()["results"]
    assert gateway.search("resource", **asked, page={"token": token, "limit": 2}).json()["results"] == alone
    assert [one["id"] for one in alone] == ["r0002", "r0003"]


@pytest.mark.parametrize(
    "change",
    [
        {"subject": entity("user", "bob")},
        {"subject": entity("user", "alice", role="admin")},
        {"action": action("write")},
        {"action": action("read", soft=True)},
        {"resource": {"type": "record", "properties": {"status": "open"}}},
        {"context": {}},
        {"context": {"ip": "192.0.2.2"}},
    ],
)
def test_a_token_does_not_go_on_with_another_search(paged, change):
    gateway, asked, token = paged
    refused(gateway.search("resource", **{**asked, **change}, page={"token": token}), "access.page_token")


def test_a_token_does_not_go_on_with_another_limit_kind_candidate_or_caller(paged):
    gateway, asked, token = paged
    refused(gateway.search("resource", **asked, page={"token": token, "limit": 3}), "access.page_token")
    refused(gateway.search("action", **{**asked, "resource": ONE}, page={"token": token}), "access.page_token")
    candidates = {"token": token, "properties": {"candidates": [{"id": "r0001"}]}}
    refused(gateway.search("resource", **asked, page=candidates), "access.page_token")
    other = make_gateway(resources=records(5))
    refused(other.search("resource", **asked, page={"token": token}), "access.page_token")


def test_an_id_of_what_is_sought_is_no_change(paged):
    gateway, asked, token = paged
    again = gateway.search("resource", **{**asked, "resource": ONE}, page={"token": token})
    assert again.status_code == 200


def test_a_token_ends_after_its_time(paged, time_machine):
    gateway, asked, token = paged
    time_machine.move_to(timezone.now() + limits.ACCESS_PAGE_TOKEN_LIFETIME + timedelta(seconds=1))
    refused(gateway.search("resource", **asked, page={"token": token}), "access.page_token")


@pytest.mark.parametrize("damage", ["flip", "cut", "key", "text", "base64", "plain", "long", "unicode"])
def test_a_token_that_is_not_ours_is_refused(paged, damage):
    gateway, asked, token = paged
    letter = "A" if token[-10] != "A" else "B"
    forged = {
        "flip": token[:-10] + letter + token[-9:],
        "cut": token[:-8],
        "key": f"k9.{token.partition('.')[2]}",
        "text": "next",
        "base64": base64.urlsafe_b64encode(b"x" * 64).decode(),
        "plain": "k1." + base64.urlsafe_b64encode(json.dumps(["", 100, 0, "", 2_000_000_000]).encode()).decode(),
        "long": "k1." + "A" * 10_000,
        "unicode": "k1.☃",
    }[damage]
    refused(gateway.search("resource", **asked, page={"token": forged}), "access.page_token")


def test_what_was_declared_or_taken_back_meanwhile_is_seen_as_it_is(paged):
    gateway, asked, token = paged
    kept = [one for one in records(5) if one["id"] != "r0003"]
    points.change_point(gateway.point, actor=SYSTEM, resources=[*kept, entity("record", "new")])
    found = gateway.find_all("resource", **asked, page={"token": token})
    assert [one["id"] for one in found] == ["r0002", "r0004", "new"]


# --- What is no search ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "page",
    [
        [],
        None,
        "next",
        {"limit": -1},
        {"limit": "2"},
        {"limit": 1.5},
        {"limit": True},
        {"limit": None},
        {"token": 7},
        {"token": None},
        {"properties": []},
        {"properties": {"candidates": {}}},
        {"properties": {"candidates": ["1"]}},
        {"properties": {"candidates": [{"id": 1}]}},
        {"properties": {"candidates": [{"id": ""}]}},
        {"properties": {"candidates": [{"type": "invoice", "id": "1"}]}},
        {"properties": {"candidates": [{"id": "1", "properties": []}]}},
        {"properties": {"candidates": [{"id": "1"}] * (limits.ACCESS_SEARCH_CANDIDATES + 1)}},
    ],
)
def test_a_page_that_makes_no_sense_is_refused(page):
    gateway = make_gateway(policy=EVERYBODY)
    asked = {"subject": entity("user", "alice"), "action": READ, "resource": {"type": "record"}}
    body = refused(gateway.search("resource", **asked, page=page), "access.invalid_request")
    assert body["error"].startswith(("page", "resource", "subject"))


@pytest.mark.parametrize(
    ("sought", "missing"),
    [
        ("subject", "action"),
        ("subject", "resource"),
        ("resource", "subject"),
        ("resource", "action"),
        ("action", "subject"),
    ],
)
def test_what_is_not_sought_has_to_be_there(sought, missing):
    gateway = make_gateway(policy=EVERYBODY)
    body = {"subject": entity("user", "alice"), "action": READ, "resource": ONE}
    del body[missing]
    refused(gateway.search(sought, **body), "access.invalid_request")


def test_the_type_of_what_is_sought_has_to_be_there():
    gateway = make_gateway(policy=EVERYBODY)
    refused(gateway.search("subject", **{**USERS, "subject": {"id": "alice"}}), "access.invalid_request")
