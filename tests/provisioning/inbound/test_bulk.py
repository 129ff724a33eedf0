"""Bulk: many operations in one request, each with its own result (RFC 7644 section 3.7)."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from broker import limits
from broker.directory.models import Group, Person
from provisioning.inbound.models import JournalEntry
from tests.provisioning.inbound.conftest import BULK, GROUP, PATCH, assert_refused, user


def bulk(call, *operations, **options):
    return call("POST", "/Bulk", {"schemas": [BULK], "Operations": list(operations), **options})


def post(name, **attributes):
    return {"method": "POST", "path": "/Users", "bulkId": name, "data": user(name, **attributes)}


def statuses(answer):
    assert answer.status_code == 200, answer.content
    return [one["status"] for one in answer.json()["Operations"]]


def test_each_operation_has_its_own_result_and_entry(call):
    ada = call.create("ada")
    gone = call.create("gone")
    answer = bulk(
        call,
        post("bob"),
        {"method": "PUT", "path": f"/Users/{ada['id']}", "data": user("ada", title="Analyst")},
        {
            "method": "PATCH",
            "path": f"/Users/{ada['id']}",
            "data": {"schemas": [PATCH], "Operations": [{"op": "Replace", "path": "active", "value": "False"}]},
        },
        {"method": "DELETE", "path": f"/Users/{gone['id']}"},
        post("ada"),
        {"method": "DELETE", "path": f"/Users/{gone['id']}"},
        post("eve", password="secret-secret"),
    )
    assert statuses(answer) == ["201", "200", "200", "204", "409", "404", "400"]
    results = answer.json()["Operations"]
    assert results[0]["bulkId"] == "bob"
    assert results[0]["location"].startswith("http://localhost:8000/scim/v2/Users/")
    assert results[1]["version"] == 'W/"2"'
    assert results[4]["response"]["scimType"] == "uniqueness"
    assert "[scim.uniqueness; trace" in results[4]["response"]["detail"]
    assert "[scim.mutability; trace" in results[6]["response"]["detail"]
    assert not Person.objects.get(pk=ada["id"]).is_active
    entries = JournalEntry.objects.exclude(place=None).order_by("place")
    assert [(one.place, one.status) for one in entries] == [
        (1, 201), (2, 200), (3, 200), (4, 204), (5, 409), (6, 404), (7, 400),
    ]  # fmt: skip
    assert {one.trace_id for one in entries} == {answer["Countersign-Trace"]}
    assert JournalEntry.objects.get(resource="Bulk").counts == {"operations": 7, "refused": 3}


def test_an_operation_names_what_another_one_creates(call):
    answer = bulk(
        call,
        {
            "method": "POST",
            "path": "/Groups",
            "bulkId": "staff",
            "data": {"schemas": [GROUP], "displayName": "Staff", "members": [{"value": "bulkId:ada"}]},
        },
        post("ada"),
    )
    assert statuses(answer) == ["201", "201"]
    group = Group.objects.get()
    assert [str(one.pk) for one in group.members.all()] == [call.found('userName eq "ada"')[0]["id"]]


def test_references_in_a_circle_are_refused_and_the_rest_is_done(call):
    def group(name, other):
        data = {"schemas": [GROUP], "displayName": name, "members": [{"value": f"bulkId:{other}"}]}
        return {"method": "POST", "path": "/Groups", "bulkId": name, "data": data}

    answer = bulk(call, group("a", "b"), group("b", "a"), post("ada"))
    assert statuses(answer) == ["409", "409", "201"]
    assert not Group.objects.exists()


def test_it_stops_at_as_many_errors_as_the_caller_takes(call):
    call.create("ada")
    answer = bulk(call, post("ada"), post("bob"), failOnErrors=1)
    assert statuses(answer) == ["409"]
    assert Person.objects.count() == 1


def test_the_same_bulk_again_doubles_nobody(call):
    operations = [post(f"p{number}", externalId=f"k{number}") for number in range(5)]
    assert statuses(bulk(call, *operations)) == ["201"] * 5
    assert statuses(bulk(call, *operations)) == ["409"] * 5
    assert Person.objects.count() == 5


@pytest.mark.django_db(transaction=True)  # as in service: no transaction idles while a thousand operations are read
def test_a_thousand_operations_are_done_and_one_more_is_refused_before_the_first(call):
    operations = [post(f"p{number}") for number in range(limits.SCIM_BULK_OPERATIONS)]
    with CaptureQueriesContext(connection) as spent:
        refused = bulk(call, *operations, post("one-more"))
    assert_refused(refused, 413, "scim.too_many_operations")
    assert not any("directory_person" in one["sql"] for one in spent)
    assert statuses(bulk(call, *operations)) == ["201"] * limits.SCIM_BULK_OPERATIONS
    assert Person.objects.count() == limits.SCIM_BULK_OPERATIONS


def test_a_bulk_of_more_than_a_megabyte_is_refused_before_the_first(call):
    operations = [post(f"p{number}", nickName="n" * 390) for number in range(limits.SCIM_BODY_BYTES // 450)]
    assert_refused(bulk(call, *operations), 413, "scim.too_large")
    assert not Person.objects.exists()


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"method": "GET", "path": "/Users"}, None),
        ({"method": "POST", "path": "/Users", "data": user("eve")}, None),
        ({"method": "POST", "path": "/Nowhere", "bulkId": "x", "data": user("eve")}, None),
        ({"method": "POST", "path": "/Bulk", "bulkId": "x", "data": {}}, None),
        ({"method": "PUT", "path": "/Me", "data": user("eve")}, None),
        ({"method": "DELETE", "path": "/Users"}, None),
        ({"method": "PATCH", "path": "/Users/x", "data": {"schemas": [PATCH], "Operations": []}}, None),
    ],
    ids=lambda value: f"{value['method']} {value['path']}" if value else None,
)
def test_an_operation_that_cannot_be_is_refused_alone(call, operation, status):
    del status
    answer = bulk(call, operation, post("bob"))
    if answer.status_code == 200:
        first, second = statuses(answer)
        assert first.startswith("4") or first == "501"
        assert second == "201"
    else:
        assert answer.status_code == 400
        assert not Person.objects.exists()
    assert not Person.objects.filter(identifiers__value="eve").exists()


@pytest.mark.parametrize("operations", [None, {}, "x"])
def test_a_bulk_without_operations_is_refused(call, operations):
    answer = call("POST", "/Bulk", {"schemas": [BULK], "Operations": operations})
    assert answer.status_code == 400


def test_a_stale_version_refuses_its_operation(call):
    ada = call.create("ada")
    call.patch(f"/Users/{ada['id']}", {"op": "replace", "path": "title", "value": "Analyst"})
    operation = {"method": "PUT", "path": f"/Users/{ada['id']}", "version": 'W/"1"', "data": user("ada")}
    assert statuses(bulk(call, operation)) == ["412"]
    assert call.read(ada["id"])["title"] == "Analyst"
