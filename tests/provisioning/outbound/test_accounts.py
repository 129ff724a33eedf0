"""An account at a real target over HTTP: made, changed, closed, and what happens when the target does not do so."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker.actors import SYSTEM
from broker.delivery.models import Attempt, Delivery, Lane, Priority
from broker.directory.models import Identifier
from broker.directory.services import deactivate_person, reactivate_person
from broker.events.models import Event
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.outbound.registering import change_target, rotate_credential
from tests.provisioning.outbound.desk import TOKEN, Desk, effects_on

pytestmark = pytest.mark.django_db(transaction=True)
Row, State = Delivery.State, RemoteAccount.State


@pytest.fixture
def alice(desk: Desk):
    """Somebody with an account at the target."""
    person = desk.person("alice")
    desk.sync(person)
    assert desk.user(person)["active"] is True
    return person


def requests_since(desk: Desk, mark: int) -> list[tuple[str, str]]:
    return [(one["method"], one["url"]) for one in desk.there.requests(since=mark)]


def mark(desk: Desk) -> int:
    found = desk.there.requests()
    return found[-1]["n"] if found else 0


def rename(person, name):
    type(person).objects.filter(pk=person.pk).update(name=name)


# Made


def test_an_account_is_made_with_what_the_mapping_names_and_nothing_else(desk: Desk):
    alice = desk.person("alice", claims={"cost_center": ["4711"]})
    assert desk.sync(alice) == 1
    user = desk.user(alice)
    assert (user["userName"], user["displayName"], user["active"]) == ("alice", "Alice", True)
    assert "4711" not in str(user)
    row = desk.delivery(alice)
    assert (row.state, row.status, len(row.digest)) == (Row.CONFIRMED, 201, 64)
    account = desk.account(alice)
    assert account.state == State.PRESENT
    assert account.read_digest == account.wanted_digest
    assert account.remote_id == user["id"]


def test_nobody_belongs_where_the_scope_is_empty(desk: Desk):
    change_target(desk.target, actor=SYSTEM, scope={})
    desk.target.refresh_from_db()
    assert desk.sync(desk.person()) == 0
    assert desk.users() == []


def test_a_person_without_a_user_name_gets_no_account_and_a_dead_letter(desk: Desk):
    bob = desk.person("bob")
    Identifier.objects.filter(person=bob).delete()
    desk.sync(bob)
    assert (desk.delivery(bob).state, desk.delivery(bob).reason) == (Row.DEAD, "target.incomplete")
    assert desk.users() == []


def test_what_is_as_it_should_be_is_not_asked_for_again(desk: Desk, alice):
    assert desk.sync(alice) == 0
    assert desk.sync(alice, force=True) == 1
    row = desk.delivery(alice)
    assert (row.state, row.status) == (Row.CONFIRMED, 200)
    assert len(effects_on(desk.there, [alice])) == 1


def test_a_change_sends_only_what_differs(desk: Desk, alice):
    rename(alice, "Alice Doe-Smith")
    before = desk.user(alice)
    start = mark(desk)
    desk.sync(alice)
    assert desk.user(alice)["displayName"] == "Alice Doe-Smith"
    assert desk.user(alice)["userName"] == before["userName"]
    assert [method for method, _ in requests_since(desk, start)] == ["GET", "PATCH"]


def test_what_the_target_holds_beyond_our_mapping_stays(desk: Desk, alice):
    desk.there.act("change", external_id=str(alice.pk), document={"nickName": "Ali", "title": "Boss"})
    rename(alice, "Alice Two")
    desk.sync(alice)
    assert (desk.user(alice)["nickName"], desk.user(alice)["displayName"]) == ("Ali", "Alice Two")


# Found


def test_an_account_that_carries_our_external_id_is_kept_and_not_doubled(desk: Desk):
    alice = desk.person("alice")
    desk.sync(desk.person("zoe"))
    desk.there.act("create", document={"userName": "old-alice", "externalId": str(alice.pk), "active": True})
    desk.sync(alice)
    assert desk.user(alice)["userName"] == "alice"
    assert len(desk.users()) == 2
    assert desk.account(alice).was_adopted
    assert Event.objects.get(type="target.account_adopted").subject_id == str(alice.pk)


def test_a_conflict_adopts_the_account_of_that_name(desk: Desk):
    alice = desk.person("alice")
    desk.sync(desk.person("zoe"))
    desk.there.act("create", document={"userName": "alice", "active": True})
    desk.sync(alice)
    assert desk.user(alice)["userName"] == "alice"
    assert len(desk.users()) == 2
    assert desk.account(alice).was_adopted
    assert Event.objects.filter(type="target.account_adopted").count() == 1


@pytest.mark.parametrize("mark", ["legacy-17", "8c5ee1b0-5b6f-4b9e-9f3c-1d2e3f4a5b6c"])
def test_an_account_that_carries_another_systems_external_id_is_not_taken_for_its_name(desk: Desk, mark: str):
    alice = desk.person("alice")
    desk.sync(desk.person("zoe"))
    desk.there.act("create", document={"userName": "alice", "externalId": mark, "active": True})
    desk.sync(alice)
    assert (desk.delivery(alice).state, desk.delivery(alice).reason) == (Row.DEAD, "target.foreign")
    [user] = [one for one in desk.users() if one["userName"] == "alice"]
    assert (user["externalId"], user.get("displayName")) == (mark, None)
    assert (desk.account(alice).was_adopted, desk.account(alice).remote_id) == (False, "")
    assert not Event.objects.filter(type="target.account_adopted").exists()


def test_it_is_adopted_where_the_target_lets_any_be_adopted(desk: Desk):
    alice = desk.person("alice")
    desk.sync(desk.person("zoe"))
    desk.there.act("create", document={"userName": "alice", "externalId": "legacy-17", "active": True})
    desk.target = change_target(desk.target, actor=SYSTEM, adoption="any")
    desk.sync(alice)
    assert (desk.user(alice)["userName"], desk.account(alice).was_adopted) == ("alice", True)
    assert len(desk.users()) == 2


def test_another_persons_account_is_not_adopted_where_any_is(desk: Desk, alice):
    other = desk.person("bob")
    desk.target = change_target(desk.target, actor=SYSTEM, adoption="any")
    Identifier.objects.filter(person=alice, kind="user_name").update(value="was-alice", comparable="was-alice")
    Identifier.objects.filter(person=other, kind="user_name").update(value="alice", comparable="alice")
    desk.sync(other)
    assert (desk.delivery(other).state, desk.delivery(other).reason) == (Row.DEAD, "target.taken")


def test_a_conflict_with_the_account_of_another_person_of_ours_adopts_nothing(desk: Desk, alice):
    other = desk.person("bob")
    Identifier.objects.filter(person=alice, kind="user_name").update(value="was-alice", comparable="was-alice")
    Identifier.objects.filter(person=other, kind="user_name").update(value="alice", comparable="alice")
    desk.sync(other)
    assert (desk.delivery(other).state, desk.delivery(other).reason) == (Row.DEAD, "target.taken")
    assert desk.user(alice)["userName"] == "alice"
    assert len(desk.users()) == 1


def test_a_known_account_that_is_gone_is_made_again(desk: Desk, alice):
    first = desk.account(alice).remote_id
    desk.there.act("delete", external_id=str(alice.pk))
    desk.sync(alice, force=True)
    assert desk.user(alice)["id"] == desk.account(alice).remote_id != first
    assert len(desk.users()) == 1


def test_an_inventory_that_showed_nobody_saves_the_look_before_a_create(desk: Desk):
    alice = desk.person("alice")
    desk.sync(desk.person("zoe"))
    desk.sync(alice, carried=False)
    RemoteAccount.objects.filter(person=alice).update(state=State.ABSENT, read_at=timezone.now())
    start = mark(desk)
    desk.carry()
    assert [method for method, _ in requests_since(desk, start)] == ["POST"]


def test_an_inventory_from_before_the_account_was_wanted_saves_nothing(desk: Desk):
    alice = desk.person("alice")
    desk.sync(desk.person("zoe"))
    desk.sync(alice, carried=False)
    past = timezone.now() - timedelta(hours=1)
    RemoteAccount.objects.filter(person=alice).update(state=State.ABSENT, read_at=past)
    start = mark(desk)
    desk.carry()
    assert [method for method, _ in requests_since(desk, start)] == ["GET", "POST"]


# Crashes


def test_an_answer_that_was_lost_after_the_account_was_made_leads_to_one_account(desk: Desk):
    alice = desk.person("alice")
    desk.sync(desk.person("zoe"))
    desk.there.fault("cut", method="POST", path="/Users", times=1)
    desk.sync(alice)
    assert (desk.delivery(alice).state, desk.delivery(alice).reason) == (Row.RETRYING, "target.cut")
    assert desk.account(alice).state == State.CREATING
    desk.hurry()
    assert desk.delivery(alice).state == Row.CONFIRMED
    assert len([one for one in desk.users() if one["userName"] == "alice"]) == 1
    assert not desk.account(alice).was_adopted


def test_a_target_that_cannot_be_asked_for_an_external_id_is_asked_by_name_after_a_crash(there, db):
    there.change(no_filter_by_external_id=True)
    desk = Desk(there)
    alice = desk.person("alice")
    desk.sync(desk.person("zoe"))
    there.fault("cut", method="POST", path="/Users", times=1)
    desk.sync(alice)
    desk.hurry()
    assert desk.delivery(alice).state == Row.CONFIRMED
    assert len([one for one in desk.users() if one["userName"] == "alice"]) == 1


# Closed


@pytest.mark.parametrize("no_patch", [False, True])
def test_a_leaver_is_closed_and_read_back(there, db, no_patch):
    there.change(no_patch=no_patch)
    desk = Desk(there)
    alice = desk.person("alice")
    desk.sync(alice)
    deactivate_person(alice, reason="left", actor=SYSTEM)
    desk.sync(alice, priority=Priority.URGENT)
    row = desk.delivery(alice)
    assert desk.user(alice)["active"] is False
    assert desk.user(alice)["displayName"] == "Alice"
    assert (row.state, row.status, row.must_arrive, len(row.digest)) == (Row.CONFIRMED, 200, True, 64)
    account = desk.account(alice)
    assert (account.state, account.read_active, account.answer_digest) == (State.DISABLED, False, row.digest)


def test_who_returns_gets_the_old_account_back(desk: Desk, alice):
    deactivate_person(alice, reason="left", actor=SYSTEM)
    desk.sync(alice)
    reactivate_person(alice, reason="rehired", actor=SYSTEM)
    desk.sync(alice)
    assert desk.user(alice)["active"] is True
    assert len(desk.users()) == 1


def test_a_target_that_lies_is_named_and_never_confirmed(desk: Desk, alice):
    desk.there.change(lie_on_disable=True)
    deactivate_person(alice, reason="left", actor=SYSTEM)
    desk.sync(alice, priority=Priority.URGENT)
    row = desk.delivery(alice)
    assert (row.state, row.reason) == (Row.RETRYING, "target.lied")
    assert desk.account(alice).lied_at is not None
    [event] = Event.objects.filter(type="target.lied")
    assert (event.subject_id, event.code, event.details["target"]) == (str(alice.pk), "target.lied", desk.target.slug)
    desk.there.change(lie_on_disable=False)
    desk.hurry()
    assert desk.delivery(alice).state == Row.CONFIRMED
    assert desk.account(alice).lied_at is None


def test_a_leaver_without_an_account_is_confirmed_by_the_answer_that_there_is_none(desk: Desk):
    zoe = desk.person("zoe")
    desk.sync(zoe, carried=False)
    deactivate_person(zoe, reason="never came", actor=SYSTEM)
    desk.sync(zoe)
    row = desk.delivery(zoe)
    assert (row.state, desk.account(zoe).state) == (Row.CONFIRMED, State.ABSENT)
    assert len(row.digest) == 64
    assert desk.users() == []


def test_the_policy_delete_deletes_and_reads_back_that_it_is_gone(desk: Desk, alice):
    change_target(desk.target, actor=SYSTEM, leaver_policy="delete")
    desk.target.refresh_from_db()
    deactivate_person(alice, reason="left", actor=SYSTEM)
    desk.sync(alice)
    row = desk.delivery(alice)
    assert desk.users() == []
    assert (row.state, row.status, desk.account(alice).state) == (Row.CONFIRMED, 404, State.DELETED)


def test_a_target_that_only_says_that_it_deleted_is_named(desk: Desk, alice):
    change_target(desk.target, actor=SYSTEM, leaver_policy="delete")
    desk.target.refresh_from_db()
    desk.there.change(lie_on_delete=True)
    deactivate_person(alice, reason="left", actor=SYSTEM)
    desk.sync(alice)
    assert (desk.delivery(alice).state, desk.delivery(alice).reason) == (Row.RETRYING, "target.lied")
    assert Event.objects.filter(type="target.lied").count() == 1


def test_the_policy_keep_touches_nothing(desk: Desk, alice):
    change_target(desk.target, actor=SYSTEM, leaver_policy="keep")
    desk.target.refresh_from_db()
    deactivate_person(alice, reason="left", actor=SYSTEM)
    assert desk.sync(alice) == 0
    assert desk.user(alice)["active"] is True


# Trouble


@pytest.mark.parametrize(
    ("fault", "options", "code"),
    [
        ("answer", {"status": 500}, "target.error"),
        ("html", {"status": 200}, "target.not_scim"),
        ("html", {"status": 502}, "target.error"),
        ("redirect", {}, "target.redirect"),
        ("cut", {}, "target.cut"),
        ("answer", {"status": 200, "body": "[]"}, "target.not_scim"),
        ("answer", {"status": 200, "body": '{"Resources": 7}'}, "target.not_scim"),
        ("answer", {"status": 200, "body": "[" * 100_000}, "target.not_scim"),
    ],
)
def test_what_is_no_answer_is_tried_again_under_its_code(desk: Desk, alice, fault, options, code):
    desk.there.fault(fault, method="GET", **options)
    desk.sync(alice, force=True)
    row = desk.delivery(alice)
    assert (row.state, row.reason) == (Row.RETRYING, code)
    assert TOKEN not in f"{row.detail}{[one.detail for one in row.history.all()]}"
    desk.there.mend()
    desk.hurry()
    assert desk.delivery(alice).state == Row.CONFIRMED


def test_an_answer_that_never_ends_is_cut_off(desk: Desk, alice, monkeypatch):
    monkeypatch.setattr("broker.limits.TARGET_ANSWER_BYTES", 50)
    desk.sync(alice, force=True)
    assert desk.delivery(alice).reason == "target.too_large"


def test_a_target_that_is_away_is_tried_again(desk: Desk, alice):
    desk.there.kill()
    desk.sync(alice, force=True)
    assert (desk.delivery(alice).state, desk.delivery(alice).reason) == (Row.RETRYING, "target.unreachable")
    desk.there.start()
    desk.hurry()
    assert desk.delivery(alice).state == Row.CONFIRMED


def test_retry_after_holds_the_whole_lane(desk: Desk, alice):
    bob = desk.person("bob")
    desk.there.fault("answer", status=429, headers={"Retry-After": "120"}, times=1)
    desk.sync(alice, bob, force=True)
    lane = desk.lane()
    assert lane.not_before is not None
    assert timedelta(seconds=100) < lane.not_before - timezone.now() <= timedelta(seconds=120)
    assert {desk.delivery(alice).state, desk.delivery(bob).state} <= {Row.RETRYING, Row.PENDING, Row.CONFIRMED}
    assert desk.delivery(alice).state != Row.CONFIRMED or desk.delivery(bob).state != Row.CONFIRMED
    with time_machine.travel(timezone.now() + timedelta(seconds=121)):
        desk.carry()
    assert {desk.delivery(alice).state, desk.delivery(bob).state} == {Row.CONFIRMED}


def test_a_refused_credential_stops_the_lane_until_another_is_entered(desk: Desk, alice):
    desk.there.fault("answer", status=401)
    desk.sync(alice, force=True)
    assert (desk.lane().state, desk.delivery(alice).reason) == (Lane.State.STOPPED, "target.unauthorized")
    assert Event.objects.filter(type="lane.stopped", severity="alert").count() == 1
    desk.there.mend()
    desk.hurry()
    assert desk.delivery(alice).state == Row.RETRYING
    rotate_credential(desk.target, f"{TOKEN}-2", actor=SYSTEM)
    rotate_credential(desk.target, TOKEN, actor=SYSTEM)
    desk.hurry()
    assert desk.delivery(alice).state == Row.CONFIRMED


def test_what_the_target_refuses_is_a_dead_letter_without_its_words(desk: Desk, alice):
    body = '{"status": "400", "scimType": "invalidValue", "detail": "alice@acme.example is odd"}'
    desk.there.fault("answer", method="PATCH", status=400, body=body)
    rename(alice, "Alice Two")
    desk.sync(alice)
    row = desk.delivery(alice)
    assert (row.state, row.reason, row.detail) == (Row.DEAD, "target.refused", "400 invalidValue")


def test_a_version_that_changed_meanwhile_is_read_again(there, db):
    there.change(if_match_required=True)
    desk = Desk(there)
    alice = desk.person("alice")
    desk.sync(alice)
    assert desk.target.__class__.objects.get(pk=desk.target.pk).capabilities["wants_if_match"] is True
    there.fault("answer", method="PATCH", status=412, times=1)
    rename(alice, "Alice Two")
    desk.sync(alice)
    assert desk.user(alice)["displayName"] == "Alice Two"
    assert Attempt.objects.filter(delivery=desk.delivery(alice)).count() == 1


def test_a_target_without_patch_gets_the_whole_account_back(there, db):
    there.change(no_patch=True)
    desk = Desk(there)
    alice = desk.person("alice")
    desk.sync(alice)
    assert Target.objects.get(pk=desk.target.pk).capabilities["method"] == "put"
    there.act("change", external_id=str(alice.pk), document={"nickName": "Ali"})
    rename(alice, "Alice Two")
    desk.sync(alice)
    assert (desk.user(alice)["displayName"], desk.user(alice)["nickName"]) == ("Alice Two", "Ali")


def test_a_target_that_is_switched_off_gets_nothing(desk: Desk, alice):
    desk.sync(alice, force=True, carried=False)
    change_target(desk.target, actor=SYSTEM, enabled=False)
    start = mark(desk)
    desk.carry()
    assert requests_since(desk, start) == []
    assert desk.delivery(alice).state != Row.CONFIRMED


def test_an_attempt_whose_end_nobody_saw_is_waited_for_before_another_account_is_made(there, db):
    """A killed worker's request may still be under way where names are not unique: two accounts would be the end."""
    desk = Desk(there)
    alice = desk.person("alice")
    desk.sync(desk.person("zoe"))
    desk.sync(alice, carried=False)
    now = timezone.now()
    RemoteAccount.objects.filter(person=alice).update(state=State.CREATING, begun_at=now)
    desk.carry()
    assert (desk.delivery(alice).state, desk.delivery(alice).reason) == (Row.RETRYING, "target.end_unseen")
    with time_machine.travel(now + timedelta(seconds=29)):  # 20 of an exchange, after 4 waits of 2
        desk.hurry()
    assert desk.delivery(alice).state == Row.CONFIRMED
    assert len(desk.users()) == 2


def test_what_was_refused_before_it_took_effect_is_not_waited_for(desk: Desk):
    alice = desk.person("alice")
    desk.sync(desk.person("zoe"))
    desk.there.fault("answer", method="POST", status=503, headers={"Retry-After": "1"}, times=1)
    desk.sync(alice)
    assert (desk.delivery(alice).reason, desk.account(alice).begun_at) == ("target.throttled", None)
    desk.hurry()
    assert desk.delivery(alice).state == Row.CONFIRMED


def test_what_was_prepared_and_never_sent_is_as_before(desk: Desk):
    desk.sync(desk.person("zoe"))
    change_target(desk.target, actor=SYSTEM, max_connections=1)
    people = [desk.person(f"p{number}") for number in range(5)]
    desk.there.fault("answer", status=429, headers={"Retry-After": "60"})
    desk.sync(*people)
    assert set(RemoteAccount.objects.filter(person__in=people).values_list("state", flat=True)) == {State.UNKNOWN}
    desk.there.mend()
    desk.hurry()
    assert len(desk.users()) == 6
