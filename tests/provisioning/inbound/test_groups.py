"""Groups written over SCIM: members in sets, and members of whom nobody has told."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from broker.directory.models import Group, Membership, Person
from broker.events.models import Event
from provisioning.inbound.models import GroupRecord, JournalEntry, PendingMember, Record
from tests.provisioning.inbound.conftest import GROUP, PATCH, assert_refused, effects, last_entry

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def reporting(make_caller):
    return make_caller(unknown_members="report")


def add(*values, op="add"):
    return {"op": op, "path": "members", "value": [{"value": one} for one in values]}


def test_a_group_is_the_directorys_own_with_its_members(call):
    ada, bob = call.create("ada"), call.create("bob")
    shown = call.create_group("Staff", ada["id"], bob["id"], externalId="g1")
    group = Group.objects.get(uid=shown["id"])
    assert (group.name, group.source, group.external_id) == ("Staff", call.source.authority, "g1")
    assert {str(one.pk) for one in group.members.all()} == {ada["id"], bob["id"]} == call.members(shown["id"])
    assert call.read(ada["id"])["groups"] == [
        {
            "value": shown["id"],
            "$ref": f"http://localhost:8000/scim/v2/Groups/{shown['id']}",
            "display": "Staff",
            "type": "direct",
        }
    ]


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([("add", "bob")], {"ada", "bob"}),
        ([("add", "ada")], {"ada"}),
        ([("remove-by-filter", "ada")], set()),
        ([("remove-by-filter", "bob")], {"ada"}),
        ([("replace", "bob")], {"bob"}),
        ([("replace",)], set()),
        ([("remove-all",)], set()),
        ([("add", "bob"), ("remove-by-filter", "ada")], {"bob"}),
        ([("remove-all",), ("add", "bob")], {"bob"}),
        ([("add", "bob"), ("remove-by-filter", "bob")], {"ada"}),
        ([("no-path", "bob")], {"ada", "bob"}),
    ],
    ids=lambda value: None if isinstance(value, set) else str(value),
)
def test_members_come_and_go_by_patch(call, operations, expected):
    ids = {name: call.create(name)["id"] for name in ("ada", "bob")}
    group = call.create_group("Staff", ids["ada"])
    sent = []
    for verb, *names in operations:
        values = [{"value": ids[one]} for one in names]
        sent.append(
            {
                "add": {"op": "add", "path": "members", "value": values},
                "replace": {"op": "replace", "path": "members", "value": values},
                "remove-all": {"op": "remove", "path": "members"},
                "remove-by-filter": {
                    "op": "remove",
                    "path": f'members[value eq "{"".join(ids[one] for one in names)}"]',
                },
                "no-path": {"op": "add", "value": {"members": values}},
            }[verb]
        )
    assert call.patch(f"/Groups/{group['id']}", *sent).status_code == 204
    assert call.members(group["id"]) == {ids[one] for one in expected}


def test_a_rename_keeps_the_members_and_tells_of_them(call):
    ada = call.create("ada")
    group = call.create_group("Staff", ada["id"])
    call.patch(f"/Groups/{group['id']}", {"op": "replace", "path": "displayName", "value": "Everybody"})
    assert call.members(group["id"]) == {ada["id"]}
    assert call.read(ada["id"])["groups"][0]["display"] == "Everybody"
    assert Group.objects.get(uid=group["id"]).name == "Everybody"


def test_a_put_that_does_not_speak_of_members_wipes_nobody(call):
    ada = call.create("ada")
    group = call.create_group("Staff", ada["id"])
    answer = call("PUT", f"/Groups/{group['id']}", {"schemas": [GROUP], "displayName": "Staff"})
    assert answer.status_code == 200
    assert call.members(group["id"]) == {ada["id"]}
    call("PUT", f"/Groups/{group['id']}", {"schemas": [GROUP], "displayName": "Staff", "members": []})
    assert call.members(group["id"]) == set()


def test_a_deleted_group_leaves_its_people(call):
    ada = call.create("ada")
    group = call.create_group("Staff", ada["id"])
    assert call("DELETE", f"/Groups/{group['id']}").status_code == 204
    assert_refused(call("GET", f"/Groups/{group['id']}"), 404, "scim.not_found")
    assert call.read(ada["id"])["userName"] == "ada"
    assert not Group.objects.exists()
    assert Event.objects.filter(type="group.deleted", subject_id=group["id"]).exists()


# Members of whom the source has not told


@pytest.mark.parametrize("op", ["add", "replace"])
def test_unknown_members_refuse_the_whole_request_and_are_named(call, op):
    ada, bob = call.create("ada"), call.create("bob")
    group = call.create_group("Staff", ada["id"])
    answer = call.patch(f"/Groups/{group['id']}", add(bob["id"], UNKNOWN, op=op))
    assert_refused(answer, 400, "scim.members_unknown", "invalidValue")
    assert UNKNOWN in answer.json()["detail"]
    assert call.members(group["id"]) == {ada["id"]}
    assert not PendingMember.objects.exists()


def test_a_put_or_post_with_an_unknown_member_is_refused_whole(call):
    ada = call.create("ada")
    group = call.create_group("Staff", ada["id"])
    body = {"schemas": [GROUP], "displayName": "Renamed", "members": [{"value": UNKNOWN}]}
    assert_refused(call("PUT", f"/Groups/{group['id']}", body), 400, "scim.members_unknown", "invalidValue")
    assert call.read(group["id"], "Groups")["displayName"] == "Staff"
    assert call.members(group["id"]) == {ada["id"]}
    assert_refused(call("POST", "/Groups", body), 400, "scim.members_unknown", "invalidValue")
    assert GroupRecord.objects.count() == 1


def test_many_unknown_members_are_counted_and_the_first_are_named(call):
    group = call.create_group("Staff")
    unknown = [str(uuid.uuid4()) for _ in range(50)]
    detail = call.patch(f"/Groups/{group['id']}", add(*unknown)).json()["detail"]
    assert unknown[0] in detail
    assert "and 30 more" in detail


def test_a_person_of_another_source_is_unknown_here(call, make_caller):
    stranger = make_caller().create("eve")
    group = call.create_group("Staff")
    answer = call.patch(f"/Groups/{group['id']}", add(stranger["id"]))
    assert_refused(answer, 400, "scim.members_unknown", "invalidValue")


def test_a_group_within_a_group_is_refused(call):
    inner = call.create_group("Inner")
    outer = call.create_group("Outer")
    answer = call.patch(f"/Groups/{outer['id']}", add(inner["id"]))
    assert_refused(answer, 400, "scim.members_unknown", "invalidValue")


@pytest.mark.parametrize("op", ["add", "replace"])
def test_where_they_are_reported_the_rest_is_done_and_they_wait(reporting, op):
    ada, bob = reporting.create("ada"), reporting.create("bob")
    group = reporting.create_group("Staff", ada["id"])
    answer = reporting.patch(f"/Groups/{group['id']}", add(bob["id"], UNKNOWN, "carol", op=op))
    assert answer.status_code == 204
    assert answer["Countersign-Unknown-Members"] == "2"
    assert reporting.members(group["id"]) == ({ada["id"], bob["id"]} if op == "add" else {bob["id"]})
    assert set(PendingMember.objects.values_list("value", flat=True)) == {UNKNOWN, "carol"}
    entry = last_entry(method="PATCH")
    assert entry.counts["members unknown"] == 2
    event = Event.objects.get(type="scim.members_unknown")
    assert (event.subject_id, event.details["members"]) == (group["id"], 2)


@pytest.mark.parametrize("named_by", ["externalId", "userName", "former id"])
def test_who_arrives_joins_the_groups_that_wait(reporting, named_by):
    former = reporting.create("carol", externalId="hr-3")
    reporting("DELETE", f"/Users/{former['id']}")
    value = {"externalId": "hr-3", "userName": "Carol", "former id": former["id"]}[named_by]
    one, two = reporting.create_group("Staff", value), reporting.create_group("Night shift", value)
    assert reporting.members(one["id"]) == set()
    carol = reporting.create("Carol", externalId="hr-3")
    assert reporting.members(one["id"]) == reporting.members(two["id"]) == {carol["id"]}
    assert not PendingMember.objects.exists()
    assert last_entry(method="POST").counts["groups joined"] == 2
    assert Event.objects.filter(type="scim.members_joined", subject_id=carol["id"]).count() == 1


def test_an_external_id_that_comes_later_joins_too(reporting):
    group = reporting.create_group("Staff", "hr-3")
    carol = reporting.create("carol")
    assert reporting.members(group["id"]) == set()
    reporting.patch(f"/Users/{carol['id']}", {"op": "add", "path": "externalId", "value": "hr-3"})
    assert reporting.members(group["id"]) == {carol["id"]}


def test_who_is_taken_out_waits_no_more(reporting):
    group = reporting.create_group("Staff", "hr-3", "hr-4", "hr-5")
    reporting.patch(f"/Groups/{group['id']}", {"op": "remove", "path": 'members[value eq "hr-3"]'})
    assert set(PendingMember.objects.values_list("value", flat=True)) == {"hr-4", "hr-5"}
    reporting("PUT", f"/Groups/{group['id']}", {"schemas": [GROUP], "displayName": "Staff", "members": []})
    assert not PendingMember.objects.exists()
    reporting.create("carol", externalId="hr-4")
    assert reporting.members(group["id"]) == set()


def test_waiting_in_one_source_joins_nobody_of_another(reporting, make_caller):
    group = reporting.create_group("Staff", "hr-3")
    make_caller().create("carol", externalId="hr-3")
    assert reporting.members(group["id"]) == set()


# Refusals


@pytest.mark.parametrize("name", ["countersign-operators", "Countersign-Operators", "COUNTERSIGN-VIEWERS"])
def test_a_group_that_makes_operators_is_not_written_from_outside(call, name):
    answer = call("POST", "/Groups", {"schemas": [GROUP], "displayName": name})
    assert_refused(answer, 403, "scim.protected_group")
    group = call.create_group("Staff")
    rename = {"op": "replace", "path": "displayName", "value": name}
    assert_refused(call.patch(f"/Groups/{group['id']}", rename), 403, "scim.protected_group")
    assert not Group.objects.exclude(name="Staff").exists()


@pytest.mark.parametrize("name", ["Staff", "staff", "STAFF"])
def test_a_group_name_is_one_groups_in_whatever_case(call, name):
    call.create_group("Staff")
    assert_refused(
        call("POST", "/Groups", {"schemas": [GROUP], "displayName": name}), 409, "scim.uniqueness", "uniqueness"
    )
    other = call.create_group("Others")
    rename = {"op": "replace", "path": "displayName", "value": name}
    assert_refused(call.patch(f"/Groups/{other['id']}", rename), 409, "scim.uniqueness", "uniqueness")
    assert call.read(other["id"], "Groups")["displayName"] == "Others"


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ({"op": "replace", "path": "displayName", "value": ""}, "scim.value"),
        ({"op": "remove", "path": "displayName"}, "scim.mutability"),
        ({"op": "add", "path": "members", "value": [{"type": "User"}]}, "scim.value"),
        ({"op": "add", "path": "members", "value": [5]}, "scim.value"),
        ({"op": "remove", "path": 'members[type eq "User"]'}, "scim.path"),
        ({"op": "remove", "path": 'members[value sw "0"]'}, "scim.path"),
        ({"op": "replace", "path": "colour", "value": "red"}, "scim.path"),
        ({"op": "replace", "value": {"colour": "red"}}, "scim.mutability"),
        ({"op": "replace", "path": "id", "value": UNKNOWN}, "scim.mutability"),
    ],
    ids=str,
)
def test_a_patch_that_cannot_be_done_leaves_the_group_alone(call, operation, code):
    ada = call.create("ada")
    group = call.create_group("Staff", ada["id"])
    answer = call.patch(f"/Groups/{group['id']}", {"op": "remove", "path": "members"}, operation)
    assert answer.status_code == 400, answer.content
    assert f"[{code};" in answer.json()["detail"]
    assert call.members(group["id"]) == {ada["id"]}


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_sources_group_does_not_exist(call, make_caller, method):
    group = call.create_group("Staff")
    body = {
        "PUT": {"schemas": [GROUP], "displayName": "Mine"},
        "PATCH": {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "displayName", "value": "Mine"}]},
    }.get(method)
    assert_refused(make_caller()(method, f"/Groups/{group['id']}", body), 404, "scim.not_found")
    assert call.read(group["id"], "Groups")["displayName"] == "Staff"


def test_a_group_that_was_changed_meanwhile_is_not_overwritten(call):
    group = call.create_group("Staff")
    call.patch(f"/Groups/{group['id']}", {"op": "replace", "path": "displayName", "value": "Everybody"})
    stale = call.patch(f"/Groups/{group['id']}", {"op": "remove", "path": "members"}, **{"If-Match": 'W/"1"'})
    assert_refused(stale, 412, "scim.precondition")


# Many


def crowd(call, number: int, *, prefix: str = "p") -> list[str]:
    """So many people of the source, written without it."""
    now = call.source.created_at
    people = Person.objects.bulk_create(
        [Person(organisation=call.source.organisation, created_at=now, updated_at=now) for _ in range(number)]
    )
    Record.objects.bulk_create(
        [
            Record(
                source=call.source,
                person=person,
                document={"schemas": [], "userName": f"{prefix}{index}", "active": True},
                user_name=f"{prefix}{index}",
                active=True,
                created_at=now,
                changed_at=now,
            )
            for index, person in enumerate(people)
        ]
    )
    return [str(person.pk) for person in people]


def test_a_thousand_members_cost_as_many_statements_as_ten(call):
    few, many = crowd(call, 10), crowd(call, 1000, prefix="q")
    costs = []
    for chosen in (few, many):
        group = call.create_group(f"Group of {len(chosen)}")
        with CaptureQueriesContext(connection) as spent:
            assert call.patch(f"/Groups/{group['id']}", add(*chosen)).status_code == 204
        costs.append(len(spent))
        assert call.members(group["id"]) == set(chosen)
    assert costs[1] <= costs[0] + 8  # the event that names them comes in chunks, each with its notices
    assert costs[1] <= 30


def test_a_group_of_ten_thousand_is_changed_without_being_loaded(call):
    people = crowd(call, 10_000)
    shown = call.create_group("Everybody", *people)
    assert len(shown["members"]) == 10_000
    with CaptureQueriesContext(connection) as spent:
        assert call.patch(f"/Groups/{shown['id']}", {"op": "remove", "path": f'members[value eq "{people[0]}"]'})
    assert len(spent) <= 25
    with CaptureQueriesContext(connection) as spent:
        answer = call("GET", f"/Groups/{shown['id']}?excludedAttributes=members")
    assert "members" not in answer.json()
    assert not any("membership" in one["sql"] for one in spent)
    assert Membership.objects.count() == 9_999
    assert effects(last_entry(method="PATCH")) == {"members": "applied"}
    assert JournalEntry.objects.filter(status__gte=400).count() == 0
