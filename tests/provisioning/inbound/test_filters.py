"""Filters over the allow-list: what they find, what is refused, and that no row is filtered in Python."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from broker import limits
from provisioning.inbound.filters import GROUP_COLUMNS, USER_COLUMNS
from provisioning.inbound.models import GroupRecord, Record, RecordValue
from tests.provisioning.inbound.conftest import ENTERPRISE, assert_refused


@pytest.fixture
def people(call):
    ids = {
        "ada": call.create(
            "Ada",
            externalId="HR-1",
            title="Analyst",
            emails=[
                {"value": "ada@acme.example", "type": "work", "primary": True},
                {"value": "ada@home.example", "type": "home"},
            ],
            **{ENTERPRISE: {"employeeNumber": "1815", "department": "Engines"}},
        ),
        "bob": call.create("bob_%", externalId="hr-1", title="50% off", active=False),
        "eve": call.create("stra\u00dfe", phoneNumbers=[{"value": "+49 1", "type": "mobile"}]),
    }
    return {one["id"]: name for name, one in ids.items()}


@pytest.mark.parametrize(
    ("scim_filter", "expected"),
    [
        ('userName eq "ADA"', {"ada"}),
        ('USERNAME EQ "ada"', {"ada"}),
        ('userName eq "STRASSE"', {"eve"}),
        ('userName sw "bob_"', {"bob"}),
        ('userName sw "bob%"', set()),
        ('userName ew "_%"', {"bob"}),
        ('userName co "%"', {"bob"}),
        ('userName ge "b"', {"bob", "eve"}),
        ('userName lt "b"', {"ada"}),
        ('externalId eq "HR-1"', {"ada"}),
        ('externalId eq "hr-1"', {"bob"}),
        ('externalId sw "H"', {"ada"}),
        ('externalId co "r"', {"bob"}),
        ("externalId pr", {"ada", "bob"}),
        ("title pr", {"ada", "bob"}),
        ("not (title pr)", {"eve"}),
        ('title ne "analyst"', {"bob", "eve"}),
        ('not (title eq "analyst")', {"bob", "eve"}),
        ('not (title co "ana")', {"bob", "eve"}),
        ("active eq true", {"ada", "eve"}),
        ('active eq "False"', {"bob"}),
        ('emails[type eq "work" and value co "home"]', set()),
        ('emails[type eq "home" and value co "home"]', {"ada"}),
        ('emails[type eq "work"].value eq "ada@acme.example"', {"ada"}),
        ('emails.value ew "@home.example"', {"ada"}),
        ('emails ne "ada@acme.example"', {"bob", "eve"}),
        ('emails[not (type eq "work")]', {"ada"}),
        ('phoneNumbers[type eq "mobile"]', {"eve"}),
        (f'{ENTERPRISE}:employeeNumber eq "1815"', {"ada"}),
        (f'{ENTERPRISE.lower()}:department eq "engines"', {"ada"}),
        ('urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada"', {"ada"}),
        ('userName eq "ada" or externalId eq "hr-1" and active eq false', {"ada", "bob"}),
        ('(userName eq "ada" or externalId eq "hr-1") and active eq false', {"bob"}),
        ('meta.lastModified gt "2000-01-01T00:00:00Z"', {"ada", "bob", "eve"}),
        ('userName eq "x\\" or userName pr"', set()),
        ('userName eq "\' OR 1=1 --"', set()),
        ('id eq "not-an-id"', set()),
        ('not (id eq "not-an-id")', {"ada", "bob", "eve"}),
    ],
)
def test_a_filter_finds(call, people, scim_filter, expected):
    assert {people[one["id"]] for one in call.found(scim_filter)} == expected


def test_an_id_is_found_as_it_is_written(call, people):
    for identifier, name in people.items():
        assert [people[one["id"]] for one in call.found(f'id eq "{identifier}"')] == [name]


def test_a_groups_filter_finds_by_member_name_and_external_id(call, people):
    ada = next(one for one, name in people.items() if name == "ada")
    staff = call.create_group("Staff", ada, externalId="G-1")
    call.create_group("Others")
    for scim_filter in (
        f'members.value eq "{ada}"',
        f'members[value eq "{ada}"]',
        f'members eq "{ada}"',
        'displayName eq "STAFF"',
        'externalId eq "G-1"',
        f'id eq "{staff["id"]}" and members[value eq "{ada}"]',
        "members pr",
    ):
        assert [one["id"] for one in call.found(scim_filter, "Groups")] == [staff["id"]], scim_filter


def test_a_random_user_name_gives_an_empty_list_and_no_error(call):
    answer = call.client.get("/scim/v2/Users", {"filter": 'userName eq "4ac1e0a4-5d1b-4d2f"'})
    assert answer.status_code == 200
    assert answer.json() == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 0,
        "itemsPerPage": 0,
        "startIndex": 1,
        "Resources": [],
    }


def test_a_filter_finds_nothing_of_another_source(call, people, make_caller):
    other = make_caller()
    assert other.found("userName pr") == []
    assert other.found('emails.type eq "work"') == []
    eve = other.create("eve")
    assert [one["id"] for one in other.found("userName pr")] == [eve["id"]]


def test_a_search_by_post_finds_the_same(call, people):
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": 'userName eq "ada"'}
    answer = call("POST", "/Users/.search", body)
    assert answer.status_code == 200
    assert [people[one["id"]] for one in answer.json()["Resources"]] == ["ada"]


def test_rows_are_filtered_and_bounded_by_the_database(call, people):
    with CaptureQueriesContext(connection) as spent:
        call.found('userName eq "ada"')
    (read,) = [one["sql"] for one in spent if 'FROM "inbound_record"' in one["sql"] and "LIMIT" in one["sql"]]
    assert '"inbound_record"."user_name" =' in read
    assert '"inbound_record"."source_id" =' in read


def test_every_column_that_is_filtered_on_is_indexed_within_its_source():
    for model, columns in ((Record, USER_COLUMNS), (GroupRecord, GROUP_COLUMNS)):
        indexed = {tuple(one.fields)[:2] for one in (*model._meta.indexes, *model._meta.constraints) if one.fields}
        indexed = {tuple(name.removesuffix("_id") for name in one) for one in indexed}
        for column in columns.values():
            assert ("source", column.name.removesuffix("_id")) in indexed, column.name
    assert {tuple(one.fields) for one in RecordValue._meta.indexes} >= {
        ("source", "attribute", "value"),
        ("source", "attribute", "type"),
    }


# Refusals

DEEP = "not (" * (limits.SCIM_FILTER_DEPTH + 1) + "title pr" + ")" * (limits.SCIM_FILTER_DEPTH + 1)


@pytest.mark.parametrize(
    "scim_filter",
    [
        "shoeSize pr",
        'password eq "x"',
        "name pr",
        'name.honorificPrefix eq "Dr"',
        'addresses.locality eq "London"',
        'groups.value eq "x"',
        'meta.version eq "1"',
        'meta.created co "20"',
        'meta.created gt "yesterday"',
        'meta.created gt "2020-01-01T00:00:00"',
        "active gt true",
        'active eq "perhaps"',
        'id sw "0"',
        'emails[shoeSize eq "39"]',
        'emails.display eq "x"',
        'person_id eq "x"',
        'source_id eq "1"',
        'record__source eq "x"',
        'userName__contains eq "x"',
        "userName eq 5",
        "userName eq",
        'userName like "x"',
        'userName eq "x" and',
        '(userName eq "x"',
        "userName eq 'x'",
        "",
        "'; DROP TABLE inbound_record; --",
        DEEP,
        "title pr and " * 60 + "title pr",
        'userName eq "' + "a" * limits.SCIM_FILTER_CHARS + '"',
        "emails eq null",
        'userName eq "\\u0000"',
    ],
    ids=lambda text: text[:40],
)
def test_a_filter_that_cannot_be_is_refused(call, people, scim_filter):
    answer = call.client.get("/scim/v2/Users", {"filter": scim_filter})
    assert_refused(answer, 400, "scim.filter", "invalidFilter")


@pytest.mark.parametrize(
    "scim_filter",
    [
        'title co "a" or userName co "a" or nickName co "a"',
        'title ne "a" and userName ew "a" and not (active eq true)',
        "not (not (not (title pr)))",
    ],
)
def test_more_than_two_scans_in_one_filter_are_too_many(call, people, scim_filter):
    assert_refused(call.client.get("/scim/v2/Users", {"filter": scim_filter}), 400, "scim.filter_too_costly", "tooMany")


def test_a_group_is_not_found_by_what_only_people_have(call):
    answer = call.client.get("/scim/v2/Groups", {"filter": 'userName eq "ada"'})
    assert_refused(answer, 400, "scim.filter", "invalidFilter")


def test_discovery_takes_no_filter(call):
    answer = call.client.get("/scim/v2/Schemas", {"filter": 'id eq "x"'})
    assert answer.status_code == 403
