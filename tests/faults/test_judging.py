"""The judge of every fault test finds each fault, and nothing in an application that is as it should be."""

from typing import Any

import pytest

from tests.faults import judging
from tests.faults.judging import Wanted, compare

ADA = Wanted("ada", active=False, stamps=("v1", "v2", "v3"))
GRACE = Wanted("grace", active=True, stamps=("v1",))
EXPECTED = {"x-ada": ADA, "x-grace": GRACE}
GROUPS = {"Engines": ["x-ada", "x-grace"]}


def user(
    act: str, name: str, stamp: str, *, active: bool = True, remote: str = "", by: str = "client"
) -> dict[str, Any]:
    document = {
        "id": remote or f"r-{name}",
        "externalId": f"x-{name}",
        "userName": name,
        "title": stamp,
        "active": active,
    }
    return {"act": act, "type": "User", "id": document["id"], "by": by, "document": document}


def group(act: str, **members: list[str]) -> dict[str, Any]:
    document = {"id": "r-engines", "displayName": "Engines"}
    return {"act": act, "type": "Group", "id": "r-engines", "by": "client", "document": document, **members}


HISTORY = [
    user("create", "ada", "v1"),
    user("create", "grace", "v1"),
    group("create", added=["r-ada"]),
    user("change", "ada", "v3", active=False),
    group("change", added=["r-grace"]),
]


def test_an_application_as_it_should_be_has_no_finding() -> None:
    comparison = compare(EXPECTED, HISTORY, groups=GROUPS)
    assert comparison.is_good
    assert (comparison.compared, comparison.accounts, comparison.members) == (2, 2, 2)
    assert "missing" in comparison.table("crm")


def test_who_was_closed_before_the_account_was_made_needs_none() -> None:
    assert compare({"x-ada": ADA, "x-grace": GRACE}, [user("create", "grace", "v1")]).is_good


def test_nothing_compared_is_a_failure() -> None:
    comparison = compare({}, [], groups={})
    assert not comparison.findings
    assert not comparison.is_good
    assert "NOTHING WAS COMPARED" in comparison.table("crm")


@pytest.mark.parametrize(
    ("finding", "history"),
    [
        (judging.MISSING, [one for one in HISTORY if one["id"] != "r-grace"]),
        (judging.MISSING, [*HISTORY, user("delete", "grace", "v1")]),
        (judging.MISSING, [*HISTORY, user("delete", "ada", "v3", active=False)]),
        (judging.DOUBLED, [*HISTORY, user("create", "grace", "v1", remote="r-again")]),
        (judging.CREATED_TWICE, [*HISTORY, user("create", "grace", "v1", remote="r-2"), user("delete", "grace", "v1")]),
        (judging.UNKNOWN, [*HISTORY, user("create", "eve", "v1")]),
        (judging.DIFFERENT, HISTORY[:3]),
        (judging.DIFFERENT, [*HISTORY, user("change", "grace", "v1", active=False)]),
        (judging.OVERTAKEN, [*HISTORY, user("change", "ada", "v1", active=False), user("change", "ada", "v3")]),
        (judging.ENABLED_AFTER, [*HISTORY, user("change", "ada", "v2"), user("change", "ada", "v3", active=False)]),
        (judging.MEMBERS, HISTORY[:-1]),
        (judging.MEMBERS, [*HISTORY, group("change", added=["r-eve"])]),
        (judging.GROUP_LOST, [*HISTORY, group("delete")]),
    ],
)
def test_each_fault_is_found(finding: str, history: list[dict[str, Any]]) -> None:
    comparison = compare(EXPECTED, history, groups=GROUPS)
    assert finding in comparison.findings
    assert not comparison.is_good
    assert finding in comparison.table("crm")


def test_what_the_application_s_own_people_do_is_no_create_of_ours() -> None:
    assert compare(EXPECTED, [*HISTORY, user("create", "eve", "v1", by="target")]).findings.keys() == {judging.UNKNOWN}


def test_an_account_that_was_deleted_may_be_made_again_only_where_that_is_meant() -> None:
    history = [*HISTORY, user("delete", "grace", "v1"), user("create", "grace", "v1", remote="r-again")]
    assert compare(EXPECTED, history).findings.keys() == {judging.CREATED_TWICE}
    assert compare(EXPECTED, history, recreated=True).is_good
