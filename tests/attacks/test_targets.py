"""Attacks on targets: our credential lured elsewhere, accounts passed over as absent, and rows that die unseen."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.models import Delivery, Lane
from broker.delivery.services import drop_hold
from broker.directory.services import deactivate_person, reactivate_person
from provisioning.outbound.connectors.base import TargetError
from provisioning.outbound.models import RemoteAccount
from provisioning.outbound.reading_back import read_back
from provisioning.outbound.registering import change_target
from tests.fakes.scim_target.running import ScimTarget
from tests.provisioning.outbound.conftest import desk, there
from tests.provisioning.outbound.desk import TOKEN, Desk

pytestmark = pytest.mark.django_db(transaction=True)
Row, State = Delivery.State, RemoteAccount.State
__all__ = ["desk", "there"]


@pytest.fixture(autouse=True)
def _loopback_is_allowed(settings):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""


def test_another_host_is_not_given_the_credential_of_the_one_before(desk: Desk, tmp_path):
    alice = desk.person("alice")
    desk.sync(alice)
    with ScimTarget(tmp_path / "mallory.log", fast=True, token=TOKEN) as mallory:
        change_target(desk.target, actor=SYSTEM, base_url=mallory.base_url)
        desk.sync(alice, force=True)
        assert mallory.requests() == []
        assert (desk.lane().state, desk.delivery(alice).reason) == (Lane.State.STOPPED, "target.credential")
        change_target(desk.target, actor=SYSTEM, credential=TOKEN)
        desk.hurry()
        assert desk.delivery(alice).state == Row.CONFIRMED


@pytest.mark.parametrize("field", ["base_url", "token_url"])
def test_a_credential_is_forgotten_where_it_would_go_to_another_host_and_kept_on_the_same(desk: Desk, field):
    same = {"base_url": f"{desk.there.base_url}/v2", "token_url": ""}[field]
    assert change_target(desk.target, actor=SYSTEM, **{field: same}).credential_sealed
    elsewhere = change_target(desk.target, actor=SYSTEM, **{field: "https://mallory.example/scim"})
    assert elsewhere.credential_sealed == ""


def test_a_credential_that_is_given_along_goes_to_the_new_host(desk: Desk):
    moved = change_target(desk.target, actor=SYSTEM, base_url="https://crm.example/scim", credential=TOKEN)
    assert moved.credential_sealed


def test_a_leavers_account_under_their_name_is_closed_and_not_passed_over_as_absent(desk: Desk):
    """The joiner's account was made there by hand, and the target was down until they left."""
    alice = desk.person("alice")
    desk.there.act("create", document={"userName": "alice", "active": True})
    desk.sync(alice, carried=False)
    deactivate_person(alice, reason="left", actor=SYSTEM)
    desk.sync(alice)
    [user] = [one for one in desk.users() if one["userName"] == "alice"]
    assert user["active"] is False
    account = desk.account(alice)
    assert (account.state, account.read_active, account.was_adopted) == (State.DISABLED, False, True)


def test_a_leavers_account_that_another_system_marked_is_neither_closed_nor_taken_for_absent(desk: Desk):
    """Not ours to close, and not ours to call closed: the row waits, late, until an operator decides."""
    alice = desk.person("alice")
    desk.there.act("create", document={"userName": "alice", "active": True, "externalId": "another-systems-17"})
    desk.sync(alice, carried=False)
    deactivate_person(alice, reason="left", actor=SYSTEM)
    desk.sync(alice)
    [user] = desk.users()
    assert (user["active"], user["externalId"]) == (True, "another-systems-17")
    assert (desk.delivery(alice).state, desk.delivery(alice).reason) == ("retrying", "target.foreign")
    with pytest.raises(TargetError, match=r"target\.foreign"):
        read_back(desk.target, [alice.pk])
    assert (desk.account(alice).remote_id, desk.account(alice).read_at) == ("", None)
    change_target(desk.target, actor=SYSTEM, adoption="any")
    desk.hurry()
    assert (desk.users()[0]["active"], desk.delivery(alice).state) == (False, "confirmed")


def test_a_leavers_account_that_another_system_marked_and_closed_is_no_door(desk: Desk):
    alice = desk.person("alice")
    desk.there.act("create", document={"userName": "alice", "active": False, "externalId": "another-systems-17"})
    desk.sync(alice, carried=False)
    deactivate_person(alice, reason="left", actor=SYSTEM)
    desk.sync(alice)
    assert (desk.delivery(alice).state, desk.account(alice).state) == ("confirmed", State.ABSENT)
    [account] = read_back(desk.target, [alice.pk])
    assert (account.remote_id, account.state) == ("", State.ABSENT)


def test_an_account_of_somebody_else_is_not_closed_for_its_name(desk: Desk):
    alice, bob = desk.person("alice"), desk.person("bob")
    desk.there.act("create", document={"userName": "alice", "active": True, "externalId": str(bob.pk)})
    desk.sync(alice, carried=False)
    deactivate_person(alice, reason="left", actor=SYSTEM)
    desk.sync(alice)
    [user] = [one for one in desk.users() if one["userName"] == "alice"]
    assert user["active"] is True


def test_what_waits_for_a_target_that_is_switched_off_is_never_given_up(desk: Desk):
    alice, bob = desk.person("alice"), desk.person("bob")
    desk.sync(alice, bob, carried=False)
    change_target(desk.target, actor=SYSTEM, enabled=False)
    now = timezone.now()
    for day in range(limits.DELIVERY_ATTEMPTS + 2):
        with time_machine.travel(now + timedelta(days=day), tick=True):
            desk.carry()
    assert {desk.delivery(one).state for one in (alice, bob)} <= {Row.PENDING, Row.RETRYING}
    assert "switched off" in desk.lane().reason
    change_target(desk.target, actor=SYSTEM, enabled=True)
    Delivery.objects.update(due_at=now)
    desk.carry()
    assert {desk.delivery(one).state for one in (alice, bob)} == {Row.CONFIRMED}


def test_who_comes_back_is_neither_held_nor_refused_with_the_closing_that_was_held(desk: Desk):
    """A wrong feed closed many, the breaker held them, the feed was mended, and an operator refuses the closing."""
    alice = desk.person("alice")
    desk.sync(alice)
    deactivate_person(alice, reason="told by a wrong feed", actor=SYSTEM)
    desk.sync(alice, hold="breaker:crm:1")
    assert desk.delivery(alice).hold == "breaker:crm:1"
    reactivate_person(alice, reason="mended", actor=SYSTEM)
    type(alice).objects.filter(pk=alice.pk).update(name="Alice Cooper")
    desk.sync(alice, force=True, carried=False)
    assert drop_hold("breaker:crm:1", reason="the feed was wrong", actor=SYSTEM) == 0
    desk.carry()
    assert desk.delivery(alice).state == Row.CONFIRMED
    assert (desk.user(alice)["active"], desk.user(alice)["displayName"]) == (True, "Alice Cooper")


def test_a_closing_that_takes_the_place_of_a_held_one_is_held_as_well(desk: Desk):
    alice = desk.person("alice")
    desk.sync(alice)
    deactivate_person(alice, reason="told by a wrong feed", actor=SYSTEM)
    desk.sync(alice, hold="breaker:crm:1")
    desk.sync(alice, force=True)
    assert desk.delivery(alice).hold == "breaker:crm:1"
    assert desk.user(alice)["active"] is True
