"""Conversations in the shapes of Microsoft Entra ID and Okta, as their documentation shows them; each begins anew."""

import pytest

from broker.directory.models import Person
from tests.provisioning.inbound.conftest import ENTERPRISE, GROUP, PATCH, USER, assert_refused, effects, last_entry

ENTRA_USER = {
    "schemas": [USER, ENTERPRISE],
    "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
    "userName": "Test_User_ab6490ee-1e48-479e-a20b-2d77186b5dd1",
    "active": True,
    "displayName": "Test User",
    "emails": [{"primary": True, "type": "work", "value": "Test_User_fd0ea19b@testuser.example"}],
    "meta": {"resourceType": "User"},
    "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
    "roles": [],
}
MANAGER = f"{ENTERPRISE}:manager"


def entra_user(**changes):
    body = {**ENTRA_USER, **changes}
    del body["roles"]
    return body


# Entra


def test_entra_tests_the_connection_with_a_user_that_nobody_has(entra):
    answer = entra.client.get("/scim/v2/Users", {"filter": 'userName eq "6d7dd3ac-5c4a-4a7e-8b9f-3b6d9d1a2f7d"'})
    assert answer.status_code == 200
    assert answer.json()["totalResults"] == 0


def test_entra_creates_and_finds_by_external_id(entra):
    answer = entra("POST", "/Users", entra_user())
    assert answer.status_code == 201
    assert answer.json()["externalId"] == ENTRA_USER["externalId"]
    assert answer.json()["emails"] == ENTRA_USER["emails"]
    (found,) = entra.found(f'externalId eq "{ENTRA_USER["externalId"]}"')
    assert found["id"] == answer.json()["id"]


@pytest.mark.parametrize(("word", "is_active"), [("False", False), ("True", True), ("false", False), (False, False)])
@pytest.mark.parametrize("dialect", ["entra", "generic"])
@pytest.mark.parametrize("has_path", [True, False])
def test_entras_active_is_a_word(make_caller, word, is_active, dialect, has_path):
    call = make_caller(dialect=dialect)
    shown = call.create("ada", active=not is_active)
    operation = (
        {"op": "Replace", "path": "active", "value": word} if has_path else {"op": "Replace", "value": {"active": word}}
    )
    answer = call.patch(f"/Users/{shown['id']}", operation)
    assert answer.status_code == 200
    assert answer.json()["active"] is is_active
    assert Person.objects.get(pk=shown["id"]).is_active is is_active


def test_entra_writes_operations_with_capitals_and_dotted_names_without_a_path(entra):
    shown = entra.create("ada")
    answer = entra.patch(
        f"/Users/{shown['id']}",
        {
            "op": "Add",
            "value": {
                "name.givenName": "Ada",
                "name.familyName": "Lovelace",
                "displayName": "Ada Lovelace",
                f"{ENTERPRISE}:department": "Engines",
                f"{ENTERPRISE}:employeeNumber": "1815",
                'emails[type eq "work"].value': "ada@acme.example",
            },
        },
    )
    assert answer.status_code == 200
    body = answer.json()
    assert body["name"] == {"givenName": "Ada", "familyName": "Lovelace"}
    assert body["emails"] == [{"type": "work", "value": "ada@acme.example"}]
    assert body[ENTERPRISE] == {"department": "Engines", "employeeNumber": "1815"}
    assert Person.objects.get(pk=shown["id"]).claims["department"] == ["Engines"]


@pytest.mark.parametrize("op", ["Add", "Replace"])
def test_entra_writes_through_a_choice_that_matches_nothing_yet(entra, op):
    shown = entra.create("ada", emails=[{"value": "ada@home.example", "type": "home"}])
    operation = {"op": op, "path": 'emails[type eq "work"].value', "value": "ada@acme.example"}
    answer = entra.patch(f"/Users/{shown['id']}", operation)
    assert answer.status_code == 200
    assert {"type": "work", "value": "ada@acme.example"} in answer.json()["emails"]
    assert len(answer.json()["emails"]) == 2
    address = {"op": op, "path": 'addresses[type eq "work"].locality', "value": "London"}
    assert entra.patch(f"/Users/{shown['id']}", address).json()["addresses"] == [{"type": "work", "locality": "London"}]


@pytest.mark.parametrize("op", ["Add", "Replace"])
@pytest.mark.parametrize("as_object", [True, False])
def test_entra_names_a_manager_by_the_extensions_urn(entra, op, as_object):
    boss, ada = entra.create("boss"), entra.create("ada")
    value = {"$ref": None, "value": boss["id"]} if as_object else boss["id"]
    answer = entra.patch(f"/Users/{ada['id']}", {"op": op, "path": MANAGER, "value": value})
    assert answer.status_code == 200
    assert answer.json()[ENTERPRISE]["manager"] == {"value": boss["id"]}
    assert Person.objects.get(pk=ada["id"]).claims["manager"] == [boss["id"]]


@pytest.mark.parametrize("value", ["", None, {"value": ""}])
def test_entra_takes_a_manager_away(entra, value):
    boss = entra.create("boss")
    ada = entra.create("ada", **{ENTERPRISE: {"manager": {"value": boss["id"]}}})
    operation = {"op": "Replace", "path": MANAGER, "value": value}
    assert entra.patch(f"/Users/{ada['id']}", operation).status_code == 200
    assert ENTERPRISE not in entra.read(ada["id"])
    assert not Person.objects.get(pk=ada["id"]).claims.get("manager")


def test_entra_removes_a_manager_by_path(entra):
    ada = entra.create("ada", **{ENTERPRISE: {"manager": {"value": "x"}, "department": "Engines"}})
    assert entra.patch(f"/Users/{ada['id']}", {"op": "Remove", "path": MANAGER}).status_code == 200
    assert entra.read(ada["id"])[ENTERPRISE] == {"department": "Engines"}


def test_entras_groups_come_with_a_schema_of_its_own(entra):
    vendor = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
    body = {
        "schemas": [GROUP, vendor],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
        "displayName": "displayName",
        "meta": {"resourceType": "Group"},
        vendor: {"kind": "security"},
    }
    answer = entra("POST", "/Groups", body)
    assert answer.status_code == 201
    assert answer.json()["schemas"] == [GROUP]
    assert effects(last_entry())[vendor] == "ignored"


def test_entra_adds_and_removes_members_by_an_array(entra):
    ada, bob = entra.create("ada"), entra.create("bob")
    group = entra.create_group("Staff")
    members = [{"$ref": None, "value": ada["id"]}, {"$ref": None, "value": bob["id"]}]
    assert entra.patch(f"/Groups/{group['id']}", {"op": "Add", "path": "members", "value": members}).status_code == 204
    gone = {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": ada["id"]}]}
    assert entra.patch(f"/Groups/{group['id']}", gone).status_code == 204
    assert entra.members(group["id"]) == {bob["id"]}
    found = entra.client.get(
        "/scim/v2/Groups",
        {"filter": f'id eq "{group["id"]}" and members eq "{bob["id"]}"', "excludedAttributes": "members"},
    )
    assert found.json()["totalResults"] == 1
    assert "members" not in found.json()["Resources"][0]


def test_entra_finds_a_group_without_its_members(entra):
    ada = entra.create("ada")
    group = entra.create_group("Staff", ada["id"])
    (found,) = entra.found('displayName eq "staff"', "Groups", excludedAttributes="members")
    assert found["id"] == group["id"]
    assert "members" not in found


def test_entra_disables_deletes_and_brings_back_the_same_person(entra):
    shown = entra("POST", "/Users", entra_user()).json()
    entra.patch(f"/Users/{shown['id']}", {"op": "Replace", "path": "active", "value": "False"})
    assert entra("DELETE", f"/Users/{shown['id']}").status_code == 204
    back = entra("POST", "/Users", entra_user(active="True"))
    assert back.json()["id"] == shown["id"]
    assert Person.objects.get(pk=shown["id"]).is_active


# Okta

OKTA_USER = {
    "schemas": [USER],
    "userName": "test.user@okta.local",
    "name": {"givenName": "Test", "familyName": "User"},
    "emails": [{"primary": True, "value": "test.user@okta.local", "type": "work"}],
    "displayName": "Test User",
    "locale": "en-US",
    "externalId": "00ujl29u0le5T6Aj10h7",
    "groups": [],
    "active": True,
}


def test_okta_looks_creates_reads_and_replaces_everything(okta):
    found = okta.client.get(
        "/scim/v2/Users", {"filter": 'userName eq "test.user@okta.local"', "startIndex": 1, "count": 100}
    )
    assert (found.status_code, found.json()["totalResults"]) == (200, 0)
    created = okta("POST", "/Users", OKTA_USER)
    assert created.status_code == 201
    shown = okta.read(created.json()["id"])
    changed = {**shown, "name": {"givenName": "Another", "familyName": "User", "middleName": "Excited"}, "groups": []}
    answer = okta("PUT", f"/Users/{shown['id']}", changed)
    assert answer.status_code == 200
    assert answer.json()["name"]["middleName"] == "Excited"
    assert answer.json()["id"] == shown["id"]


def test_okta_deactivates_without_a_path(okta):
    shown = okta("POST", "/Users", OKTA_USER).json()
    answer = okta.patch(f"/Users/{shown['id']}", {"op": "replace", "value": {"active": False}})
    assert answer.status_code == 200
    assert answer.json()["active"] is False
    assert not Person.objects.get(pk=shown["id"]).is_active


def test_okta_renames_a_group_with_its_id_in_the_value(okta):
    ada = okta.create("ada")
    group = okta.create_group("Test SCIMv2", ada["id"])
    rename = {"op": "replace", "value": {"id": group["id"], "displayName": "Test SCIMv3"}}
    assert okta.patch(f"/Groups/{group['id']}", rename).status_code == 204
    assert okta.read(group["id"], "Groups")["displayName"] == "Test SCIMv3"
    assert okta.members(group["id"]) == {ada["id"]}


def test_okta_changes_members_with_what_they_are_called(okta):
    ada, bob = okta.create("ada"), okta.create("bob")
    group = okta.create_group("Staff", ada["id"])
    answer = okta.patch(
        f"/Groups/{group['id']}",
        {"op": "remove", "path": f'members[value eq "{ada["id"]}"]'},
        {"op": "add", "path": "members", "value": [{"value": bob["id"], "display": "bob"}]},
    )
    assert answer.status_code == 204
    assert okta.members(group["id"]) == {bob["id"]}
    put = {"schemas": [GROUP], "displayName": "Staff", "members": [{"value": ada["id"], "display": "ada"}]}
    assert okta("PUT", f"/Groups/{group['id']}", put).status_code == 200
    assert okta.members(group["id"]) == {ada["id"]}


def test_okta_asks_for_a_page_of_groups(okta):
    okta.create_group("Staff")
    answer = okta.client.get("/scim/v2/Groups", {"startIndex": 1, "count": 100})
    assert answer.json()["totalResults"] == answer.json()["itemsPerPage"] == 1


# What stays refused


def test_without_the_dialect_a_choice_that_matches_nothing_is_refused(call):
    shown = call.create("ada")
    operation = {"op": "Add", "path": 'emails[type eq "work"].value', "value": "ada@acme.example"}
    assert_refused(call.patch(f"/Users/{shown['id']}", operation), 400, "scim.no_target", "noTarget")


def test_roles_that_nothing_would_follow_from_are_refused_of_everybody(entra, okta):
    for caller in (entra, okta):
        answer = caller("POST", "/Users", {**ENTRA_USER, "roles": [{"value": "admin", "primary": True}]})
        assert_refused(answer, 400, "scim.mutability", "mutability")
    assert not Person.objects.exists()


@pytest.mark.parametrize("operations", [None, [], {}, "add", [None], [[]], [{"op": None}], [{"op": "Add", "value": 5}]])
def test_operations_that_are_none_are_refused(entra, operations):
    shown = entra.create("ada")
    answer = entra("PATCH", f"/Users/{shown['id']}", {"schemas": [PATCH], "Operations": operations})
    assert answer.status_code == 400, answer.content
    assert entra.read(shown["id"])["meta"]["version"] == 'W/"1"'
