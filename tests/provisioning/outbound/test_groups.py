"""Groups at a real target: computed from what it shows, read back, and never wiped by one who is missing."""

import pytest

from broker.actors import SYSTEM
from broker.delivery.models import Delivery, Priority
from broker.directory.groups import add_members, create_group, delete_group, remove_members, rename_group, set_members
from broker.directory.services import deactivate_person
from broker.directory.sources import Source, SourceKind
from provisioning.outbound.models import RemoteGroup, Target
from provisioning.outbound.services import request_group_sync
from tests.provisioning.outbound.desk import Desk

pytestmark = pytest.mark.django_db(transaction=True)
Row = Delivery.State
HR = Source(SourceKind.SCIM, "workday")


@pytest.fixture(params=["patch", "put"])
def desk(there, db, request) -> Desk:
    there.change(no_patch=request.param == "put")
    return Desk(there, group_strategy="memberships", groups=["sales"])


@pytest.fixture
def sales(desk: Desk):
    return create_group("sales", source=HR, actor=SYSTEM)


def sync(desk: Desk, group) -> None:
    request_group_sync(desk.target, [group.uid], priority=Priority.NORMAL, actor=SYSTEM)
    desk.carry()


def row(desk: Desk, group) -> Delivery:
    return Delivery.objects.filter(lane=desk.target.lane, subject=f"group:{group.uid}").latest("pk")


def members(desk: Desk) -> set[str]:
    """The names of those who are in the one group there."""
    [group] = desk.there.groups()
    names = {one["id"]: one["userName"] for one in desk.users()}
    return {names.get(one["value"], "?") for one in group.get("members", [])}


def ids(*people):
    return [person.pk for person in people]


def test_a_group_is_made_with_its_members_and_read_back(desk: Desk, sales):
    alice, bob, zoe = desk.person("alice"), desk.person("bob"), desk.person("zoe")
    desk.sync(alice, bob, zoe)
    set_members(sales, ids(alice, bob), actor=SYSTEM)
    sync(desk, sales)
    assert members(desk) == {"alice", "bob"}
    assert (row(desk, sales).state, row(desk, sales).detail) == (Row.CONFIRMED, "2 members, read back")
    there = RemoteGroup.objects.get()
    assert (there.read_members, there.awaited_members, there.foreign_members) == (2, 0, 0)


def test_members_come_and_go_and_a_name_changes(desk: Desk, sales):
    alice, bob, zoe = desk.person("alice"), desk.person("bob"), desk.person("zoe")
    desk.sync(alice, bob, zoe)
    set_members(sales, ids(alice, bob), actor=SYSTEM)
    sync(desk, sales)
    add_members(sales, ids(zoe), actor=SYSTEM)
    remove_members(sales, ids(alice), actor=SYSTEM)
    desk.target = Target.objects.get(pk=desk.target.pk)
    Target.objects.filter(pk=desk.target.pk).update(groups=["sales", "sales north"])
    rename_group(sales, "sales north", actor=SYSTEM)
    desk.target.refresh_from_db()
    sync(desk, sales)
    assert members(desk) == {"bob", "zoe"}
    assert desk.there.groups()[0]["displayName"] == "sales north"


def test_who_has_no_account_yet_is_awaited_and_joins_when_it_comes(desk: Desk, sales):
    alice, bob = desk.person("alice"), desk.person("bob")
    desk.sync(alice)
    desk.sync(bob, carried=False)
    Delivery.objects.filter(subject=f"person:{bob.pk}").update(hold="not yet")
    set_members(sales, ids(alice, bob), actor=SYSTEM)
    sync(desk, sales)
    assert members(desk) == {"alice"}
    assert (row(desk, sales).state, row(desk, sales).reason) == (Row.RETRYING, "target.members_awaited")
    Delivery.objects.filter(subject=f"person:{bob.pk}").update(hold="")
    desk.carry()
    assert members(desk) == {"alice", "bob"}
    assert row(desk, sales).state == Row.CONFIRMED


def test_members_whom_nobody_of_us_put_there_stay_and_are_counted(desk: Desk, sales):
    alice = desk.person("alice")
    desk.sync(alice)
    set_members(sales, ids(alice), actor=SYSTEM)
    sync(desk, sales)
    desk.there.act("create", document={"userName": "guest", "active": True})
    [guest] = [one for one in desk.users() if one["userName"] == "guest"]
    [group] = desk.there.groups()
    held = [*group["members"], {"value": guest["id"]}]
    desk.there.act("change", type="Group", name="sales", document={"members": held})
    remove_members(sales, ids(alice), actor=SYSTEM)
    sync(desk, sales)
    assert members(desk) == {"guest"}
    assert RemoteGroup.objects.get().foreign_members == 1


def test_a_leaver_leaves_the_group(desk: Desk, sales):
    alice, bob = desk.person("alice"), desk.person("bob")
    desk.sync(alice, bob)
    set_members(sales, ids(alice, bob), actor=SYSTEM)
    sync(desk, sales)
    deactivate_person(alice, reason="left", actor=SYSTEM)
    desk.sync(alice)
    sync(desk, sales)
    assert members(desk) == {"bob"}


def test_a_group_of_that_name_is_adopted_and_not_doubled(desk: Desk, sales):
    alice = desk.person("alice")
    desk.sync(alice)
    desk.there.act("create", type="Group", document={"displayName": "sales", "externalId": str(sales.uid)})
    set_members(sales, ids(alice), actor=SYSTEM)
    sync(desk, sales)
    assert members(desk) == {"alice"}
    assert len(desk.there.groups()) == 1


def test_a_group_that_another_system_marked_is_left_alone(desk: Desk, sales):
    alice = desk.person("alice")
    desk.sync(alice)
    desk.target.refresh_from_db()
    desk.target.capabilities |= {"finds_external_id": False}
    desk.target.save()
    desk.there.act("create", type="Group", document={"displayName": "sales", "externalId": "legacy-sales"})
    set_members(sales, ids(alice), actor=SYSTEM)
    sync(desk, sales)
    [group] = desk.there.groups()
    assert (group["externalId"], group.get("members", [])) == ("legacy-sales", [])
    row = Delivery.objects.get(subject=f"group:{sales.uid}")
    assert (row.state, row.reason) == ("dead", "target.foreign")


def test_a_group_that_is_gone_here_goes_there(desk: Desk, sales):
    alice = desk.person("alice")
    desk.sync(alice)
    set_members(sales, ids(alice), actor=SYSTEM)
    sync(desk, sales)
    delete_group(sales, actor=SYSTEM)
    sync(desk, sales)
    assert desk.there.groups() == []
    assert row(desk, sales).state == Row.CONFIRMED
    assert len(desk.users()) == 1


def test_a_group_that_is_not_named_is_not_kept(desk: Desk):
    other = create_group("engineering", source=HR, actor=SYSTEM)
    desk.sync(desk.person("alice"))
    assert request_group_sync(desk.target, [other.uid], priority=Priority.NORMAL, actor=SYSTEM) == 0
    assert desk.there.groups() == []


def test_a_group_whose_reading_fails_is_never_written(desk: Desk, sales):
    alice, bob = desk.person("alice"), desk.person("bob")
    desk.sync(alice, bob)
    set_members(sales, ids(alice, bob), actor=SYSTEM)
    sync(desk, sales)
    desk.there.fault("html", method="GET", path="/Groups")
    remove_members(sales, ids(alice), actor=SYSTEM)
    sync(desk, sales)
    assert (row(desk, sales).state, row(desk, sales).reason) == (Row.RETRYING, "target.not_scim")
    desk.there.mend()
    assert members(desk) == {"alice", "bob"}
    desk.hurry()
    assert members(desk) == {"bob"}
