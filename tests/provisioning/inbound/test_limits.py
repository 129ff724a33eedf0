"""Each bound of SCIM in: what is at it passes, what is above it does not."""

import json
import uuid

import pytest

from broker import limits
from provisioning.inbound.models import PendingMember
from tests.provisioning.inbound.conftest import assert_refused, user

TRUE = "title pr"


def ask(call, scim_filter):
    return call.client.get("/scim/v2/Users", {"filter": scim_filter})


def test_a_body_is_so_deep(call):
    def body(depth):
        return {**user("ada"), "name": {"givenName": json.loads("[" * (depth - 2) + "]" * (depth - 2))}}

    at, above = (call("POST", "/Users", body(limits.SCIM_JSON_DEPTH + more)) for more in (0, 1))
    assert_refused(at, 400, "scim.value", "invalidValue")  # it was read
    assert_refused(above, 400, "scim.syntax", "invalidSyntax")


def test_a_filter_is_so_long_so_deep_and_so_wide(call):
    room = limits.SCIM_FILTER_CHARS - len('userName eq ""')
    assert ask(call, f'userName eq "{"a" * room}"').status_code == 200
    assert ask(call, f'userName eq "{"a" * (room + 1)}"').status_code == 400

    def nested(depth):
        text = TRUE
        for level in range(depth - 1):
            text = f"({text}) {'and' if level % 2 else 'or'} {TRUE}"
        return text

    assert ask(call, nested(limits.SCIM_FILTER_DEPTH)).status_code == 200
    assert_refused(ask(call, nested(limits.SCIM_FILTER_DEPTH + 1)), 400, "scim.filter", "invalidFilter")
    assert ask(call, " or ".join([TRUE] * limits.SCIM_FILTER_TERMS)).status_code == 200
    wide = ask(call, " or ".join([TRUE] * (limits.SCIM_FILTER_TERMS + 1)))
    assert_refused(wide, 400, "scim.filter", "invalidFilter")


def test_a_filter_scans_so_often(call):
    at = " and ".join(['title co "a"'] * limits.SCIM_FILTER_SCANS)
    assert ask(call, at).status_code == 200
    assert_refused(ask(call, f'{at} and title co "b"'), 400, "scim.filter_too_costly", "tooMany")


def test_a_user_is_so_large(call):
    room = limits.SCIM_USER_CHARS - len(json.dumps({**user("ada"), "active": True, "profileUrl": "https://a.example/"}))
    assert call("POST", "/Users", user("ada", profileUrl="https://a.example/" + "p" * room)).status_code == 201
    answer = call("POST", "/Users", user("bob", profileUrl="https://a.example/" + "p" * (room + 1)))
    assert_refused(answer, 400, "scim.value", "invalidValue")


def test_a_page_has_so_many_and_by_default_fewer(call):
    said = call("GET", "/ServiceProviderConfig").json()
    assert said["filter"]["maxResults"] == said["pagination"]["maxPageSize"] == limits.SCIM_PAGE
    assert said["pagination"]["defaultPageSize"] == limits.SCIM_PAGE_DEFAULT


@pytest.mark.parametrize("by_cursor", [True, False])
def test_a_page_of_groups_ends_where_their_members_are_too_many(call, monkeypatch, by_cursor):
    monkeypatch.setattr(limits, "SCIM_LIST_MEMBERS", 3)
    people = [call.create(name)["id"] for name in ("a", "b", "c", "d")]
    for number, members in enumerate((people[:2], people[:1], people, [])):
        call.create_group(f"g{number}", *members)
    seen, sizes, parameters = [], [], {"sortBy": "displayName", "count": 4}
    parameters |= {"cursor": ""} if by_cursor else {"startIndex": 1}
    while True:
        said = call.client.get("/scim/v2/Groups", parameters).json()
        seen += [(one["displayName"], len(one["members"])) for one in said["Resources"]]
        sizes.append(said["itemsPerPage"])
        if by_cursor:
            if "nextCursor" not in said:
                break
            parameters["cursor"] = said["nextCursor"]
        else:
            parameters["startIndex"] += said["itemsPerPage"]
            if parameters["startIndex"] > said["totalResults"]:
                break
    assert seen == [("g0", 2), ("g1", 1), ("g2", 4), ("g3", 0)]
    assert sizes == [2, 1, 1]
    whole = call.client.get("/scim/v2/Groups", {"excludedAttributes": "members"}).json()
    assert whole["itemsPerPage"] == 4


def test_so_many_wait_in_one_source(make_caller, monkeypatch):
    monkeypatch.setattr(limits, "SCIM_PENDING_MEMBERS", 2)
    call = make_caller(unknown_members="report")
    group = call.create_group("Staff", "hr-1", "hr-2")
    third = {"op": "add", "path": "members", "value": [{"value": str(uuid.uuid4())}]}
    answer = call.patch(f"/Groups/{group['id']}", third)
    assert_refused(answer, 400, "scim.members_unknown", "invalidValue")
    assert PendingMember.objects.count() == 2
