"""Lists in an order, page by page, by index and by cursor."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from broker import limits
from tests.provisioning.inbound.conftest import assert_refused

NAMES = ["Dora", "ada", "Carl", "bob", "Eve"]


@pytest.fixture
def people(call):
    for number, name in enumerate(NAMES):
        call.create(name, **({"title": f"t{number % 2}"} if number else {}))
    return call


def names(call, **parameters):
    answer = call.client.get("/scim/v2/Users", parameters)
    assert answer.status_code == 200, answer.content
    return [one["userName"] for one in answer.json()["Resources"]], answer.json()


def test_a_list_is_sorted_without_regard_to_case(people):
    assert names(people, sortBy="userName")[0] == sorted(NAMES, key=str.lower)
    assert names(people, sortBy="userName", sortOrder="descending")[0] == sorted(NAMES, key=str.lower, reverse=True)


def test_who_has_no_value_comes_last_and_first_in_a_descending_order(people):
    assert names(people, sortBy="title")[0][-1] == "Dora"
    assert names(people, sortBy="title", sortOrder="descending")[0][0] == "Dora"


def test_pages_by_index_hold_each_one_once(people):
    seen = []
    for start in (1, 3, 5):
        page, said = names(people, sortBy="userName", startIndex=start, count=2)
        assert (said["totalResults"], said["startIndex"], said["itemsPerPage"]) == (5, start, len(page))
        seen += page
    assert seen == sorted(NAMES, key=str.lower)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"startIndex": "0"}, 5),
        ({"startIndex": "-7"}, 5),
        ({"startIndex": "6"}, 0),
        ({"startIndex": "1000000"}, 0),
        ({"count": "0"}, 0),
        ({"count": "-1"}, 0),
        ({"count": "100000"}, 5),
    ],
    ids=str,
)
def test_odd_pages_are_what_the_rfc_says(people, parameters, expected):
    page, said = names(people, **parameters)
    assert len(page) == expected
    assert said["totalResults"] == 5


def test_a_page_is_never_longer_than_we_say(people, monkeypatch):
    monkeypatch.setattr(limits, "SCIM_PAGE", 3)
    assert len(names(people, count=5)[0]) == 3


def test_the_number_is_not_counted_anew_for_each_page(people):
    def counts():
        with CaptureQueriesContext(connection) as spent:
            names(people, count=2, startIndex=2)
        return sum("COUNT(" in one["sql"] for one in spent)

    assert counts() == 1
    assert counts() == 0
    people.create("new")
    assert counts() == 1
    with time_machine.travel(timezone.now() + timedelta(seconds=1)):
        assert names(people, count=2, startIndex=2)[1]["totalResults"] == 6


def walk(call, **parameters):
    pages, cursor = [], ""
    while cursor is not None:
        page, said = names(call, cursor=cursor, count=2, **parameters)
        assert "startIndex" not in said
        pages.append(page)
        cursor = said.get("nextCursor")
    return pages


@pytest.mark.parametrize("sort_by", [None, "userName", "title", "meta.created", "emails"])
@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_cursors_hold_each_one_once_in_order(people, sort_by, order):
    parameters = {"sortBy": sort_by, "sortOrder": order} if sort_by else {}
    pages = walk(people, **parameters)
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [one for page in pages for one in page] == names(people, **parameters)[0]


def test_who_comes_or_goes_meanwhile_moves_nobody_else(people):
    first, said = names(people, cursor="", count=2, sortBy="userName")
    assert first == ["ada", "bob"]
    assert "previousCursor" not in said
    people.create("aaa")
    (bob,) = people.found('userName eq "bob"')
    people("DELETE", f"/Users/{bob['id']}")
    second, said = names(people, cursor=said["nextCursor"], count=2, sortBy="userName")
    assert second == ["Carl", "Dora"]
    back, _ = names(people, cursor=said["previousCursor"], count=2, sortBy="userName")
    assert back == ["aaa", "ada"]


def test_a_cursor_is_good_for_its_source_its_query_and_its_count_alone(people, make_caller):
    cursor = names(people, cursor="", count=2, sortBy="userName")[1]["nextCursor"]
    assert "ada" not in cursor

    def ask(call=people, **parameters):
        return call.client.get("/scim/v2/Users", {"cursor": cursor, "count": 2, "sortBy": "userName"} | parameters)

    assert ask().status_code == 200
    assert_refused(ask(call=make_caller()), 400, "scim.cursor", "invalidCursor")
    assert_refused(ask(sortBy="title"), 400, "scim.cursor", "invalidCursor")
    assert_refused(ask(filter='title eq "t1"'), 400, "scim.cursor", "invalidCursor")
    assert_refused(ask(count=3), 400, "scim.count", "invalidCount")
    for forged in ("a", "AAAA", cursor[:-2], cursor[:-2] + "AA", "é", "a" * 500):
        assert_refused(ask(cursor=forged), 400, "scim.cursor", "invalidCursor")
    with time_machine.travel(timezone.now() + limits.SCIM_CURSOR_LIFETIME + timedelta(minutes=1), tick=False):
        assert_refused(ask(), 400, "scim.cursor_expired", "expiredCursor")


def test_a_cursor_and_an_index_do_not_go_together(people):
    answer = people.client.get("/scim/v2/Users", {"cursor": "", "startIndex": 1})
    assert_refused(answer, 400, "scim.value", "invalidValue")


@pytest.mark.parametrize("attribute", ["shoeSize", "addresses", "password", "name", "groups", "emails.display"])
def test_what_cannot_be_sorted_by_is_refused(people, attribute):
    answer = people.client.get("/scim/v2/Users", {"sortBy": attribute})
    assert_refused(answer, 400, "scim.path", "invalidPath")


@pytest.mark.parametrize(
    ("parameters", "present", "absent"),
    [
        ({"attributes": "userName"}, {"id", "schemas", "userName"}, {"title", "active"}),
        ({"attributes": "title,emails.value"}, {"id", "title"}, {"userName"}),
        ({"excludedAttributes": "title"}, {"id", "userName", "active", "meta"}, {"title"}),
        ({"excludedAttributes": "id,schemas,title"}, {"id", "schemas"}, {"title"}),
        ({"attributes": "urn:ietf:params:scim:schemas:core:2.0:User:userName"}, {"userName"}, {"title"}),
    ],
    ids=lambda value: None if isinstance(value, set) else str(value),
)
def test_only_what_was_asked_for_is_answered(people, parameters, present, absent):
    (shown,) = people.found('userName eq "ada"', **parameters)
    alone = people(
        "GET", f"/Users/{shown['id']}?" + "&".join(f"{name}={value}" for name, value in parameters.items())
    ).json()
    for one in (shown, alone):
        assert present <= one.keys()
        assert not absent & one.keys()
