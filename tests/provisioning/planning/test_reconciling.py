"""Drift is told by its kind, repaired where it is ours, and gone only when a later read no longer shows it."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.carrying import carry
from broker.delivery.models import Delivery
from broker.directory.models import Group, Membership
from broker.events.models import Event
from provisioning.outbound.models import Hold, RemoteAccount, RemoteGroup, Target
from provisioning.outbound.services import refresh_groups
from provisioning.planning.differing import MARKED
from provisioning.planning.doctor import check_reconciliations
from provisioning.planning.forgetting import forget_ended
from provisioning.planning.gauges import read_gauges
from provisioning.planning.models import Drift, Run, Watch
from provisioning.planning.scheduling import make_plan, reconcile, start_due
from provisioning.planning.tasks import carry_run, forget, reconcile_due
from tests.fakes.scim_target.running import ScimTarget
from tests.provisioning.planning import house

pytestmark = pytest.mark.django_db


def kinds() -> dict[str, int]:
    found: dict[str, int] = {}
    for kind in Drift.objects.filter(repaired_at=None).values_list("kind", flat=True):
        found[kind] = found.get(kind, 0) + 1
    return found


def report_only(target: Target) -> None:
    Watch.objects.create(
        target=target, interval=timedelta(days=1), policy="report", changed_by="suite", changed_at=timezone.now()
    )


def test_each_kind_of_drift_is_told_by_name(fake: ScimTarget, target: Target) -> None:
    report_only(target)
    people = house.make_people(6)
    accounts = house.put_there(fake, target, people)
    fake.act("delete", id=accounts[0].remote_id)
    fake.act("change", id=accounts[1].remote_id, document={"displayName": "Mallory"})
    house.close([people[2]])
    fake.act("create", document={"schemas": [], "userName": "mallory@elsewhere.example", "active": True})
    target.scope = {"attributes": {"family_name": ["0", "1", "2", "4", "5"]}}
    target.save()
    run = reconcile(target, actor=SYSTEM)
    assert run.outcome == Run.Outcome.DRIFT
    assert kinds() == {"missing": 1, "changed": 1, "active": 1, "orphan": 1, "shadow": 1}
    shadow = Drift.objects.get(kind="shadow")
    assert (shadow.title, shadow.person) == ("mallory@elsewhere.example", None)
    assert Drift.objects.get(kind="changed").differences == {"displayName": ["Mallory", "Person 1"]}
    assert Drift.objects.get(kind="orphan").person == people[3]
    assert Drift.objects.get(kind="active").person == people[2]
    assert not Delivery.objects.exists()
    assert Event.objects.get(type="drift.found").details["standing"] == kinds()


def test_drift_keeps_the_time_when_it_was_first_seen(fake: ScimTarget, target: Target) -> None:
    report_only(target)
    fake.act("create", document={"schemas": [], "userName": "mallory"})
    reconcile(target, actor=SYSTEM)
    first = Drift.objects.get()
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        reconcile(target, actor=SYSTEM)
    again = Drift.objects.get()
    assert again.first_seen == first.first_seen
    assert again.last_seen > first.last_seen
    assert Event.objects.filter(type="drift.found").count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_is_ours_is_repaired_and_only_a_later_read_says_so(fake: ScimTarget, target: Target) -> None:
    people = house.make_people(5)
    accounts = house.put_there(fake, target, people)
    fake.act("delete", id=accounts[0].remote_id)
    fake.act("change", id=accounts[1].remote_id, document={"displayName": "Mallory"})
    fake.act("create", document={"schemas": [], "userName": "shadow"})
    house.close([people[2]])
    reconcile(target, actor=SYSTEM)
    assert set(Drift.objects.exclude(kind="shadow").values_list("repair", flat=True)) == {"sent"}
    assert Drift.objects.get(kind="shadow").repair == "none"
    carry(target.lane)
    assert Drift.objects.filter(repaired_at=None).count() == 4
    there = {one.get("externalId"): one for one in fake.users()}
    assert there[str(people[1].pk)]["displayName"] == "Person 1"
    assert there[str(people[2].pk)]["active"] is False
    assert str(people[0].pk) in there
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        run = reconcile(target, actor=SYSTEM)
    assert run.counts["repaired"] == 3
    assert kinds() == {"shadow": 1}
    assert "shadow" in {one["userName"] for one in fake.users()}


def test_a_shadow_account_is_never_touched(fake: ScimTarget, target: Target) -> None:
    fake.act("create", document={"schemas": [], "userName": "mallory"})
    reconcile(target, actor=SYSTEM)
    assert not Delivery.objects.exists()
    assert not RemoteAccount.objects.exists()


def test_an_account_with_our_id_of_somebody_who_never_belonged_is_an_orphan(fake: ScimTarget, target: Target) -> None:
    [person] = house.make_people(1)
    house.close([person])
    fake.act("create", document={"schemas": [], "userName": "old", "externalId": str(person.pk), "active": True})
    reconcile(target, actor=SYSTEM)
    drift = Drift.objects.get()
    assert (drift.kind, drift.person, drift.repair) == ("active", person, "sent")
    assert Delivery.objects.get().subject == f"person:{person.pk}"


def test_a_second_account_of_one_person_is_a_shadow(fake: ScimTarget, target: Target) -> None:
    people = house.make_people(1)
    house.put_there(fake, target, people)
    fake.act("create", document={"schemas": [], "userName": "double", "externalId": str(people[0].pk)})
    reconcile(target, actor=SYSTEM)
    assert kinds() == {"shadow": 1}


def test_an_account_of_the_same_name_is_adopted(fake: ScimTarget, target: Target) -> None:
    house.make_people(1)
    fake.act("create", document={"schemas": [], "userName": "P0@acme.example"})
    reconcile(target, actor=SYSTEM)
    drift = Drift.objects.get()
    assert (drift.kind, drift.repair) == ("changed", "sent")


def test_an_account_of_the_same_name_that_another_system_marked_is_told_of_and_not_touched(
    fake: ScimTarget, target: Target
) -> None:
    house.make_people(1)
    fake.act("create", document={"schemas": [], "userName": "P0@acme.example", "externalId": "legacy-17"})
    reconcile(target, actor=SYSTEM)
    assert kinds() == {"missing": 1, "shadow": 1}
    assert set(Drift.objects.values_list("touches", "repair")) == {(False, "none")}
    assert not Delivery.objects.exists()
    operation = make_plan(target, actor=SYSTEM).operations.get(person__isnull=False)
    assert (operation.action, operation.reason) == ("none", MARKED)
    Target.objects.update(adoption="any")
    assert make_plan(target, actor=SYSTEM).operations.get().action == "adopt"


def test_what_a_delivery_is_still_to_bring_is_no_drift(fake: ScimTarget, target: Target) -> None:
    people = house.make_people(2)
    house.put_there(fake, target, people)
    [new] = house.make_people(1, start=2)
    reconcile(target, actor=SYSTEM)
    assert kinds() == {"missing": 1}
    Drift.objects.all().delete()
    run = reconcile(target, actor=SYSTEM)
    assert kinds() == {}
    assert run.counts == {"under_way": 1}
    assert Delivery.objects.filter(subject=f"person:{new.pk}").count() == 1


def test_too_many_that_should_be_closed_wait_for_a_second_operator(fake: ScimTarget, target: Target) -> None:
    people = house.make_people(10)
    house.put_there(fake, target, people)
    house.close(people[:8])
    reconcile(target, actor=SYSTEM)
    assert kinds() == {"active": 8}
    assert set(Drift.objects.values_list("repair", "hold")) == {("held", "breaker:crm:1")}
    assert Delivery.objects.filter(hold="breaker:crm:1").count() == 8
    assert Hold.objects.get().state == Hold.State.OPEN


def test_too_many_that_are_missing_are_not_made_anew_unasked(fake: ScimTarget, target: Target) -> None:
    accounts = house.put_there(fake, target, house.make_people(10))
    for one in accounts[:8]:
        fake.act("delete", id=one.remote_id)
    run = reconcile(target, actor=SYSTEM)
    assert (run.outcome, run.code) == (Run.Outcome.DRIFT, "inventory.shrunken")
    assert kinds() == {"missing": 8}
    assert not Delivery.objects.exists()


def test_members_that_differ_are_told_and_strangers_are_left_alone(fake: ScimTarget, target: Target) -> None:
    target.group_strategy, target.groups = Target.GroupStrategy.MEMBERSHIPS, ["staff"]
    target.save()
    people = house.make_people(3)
    accounts = house.put_there(fake, target, people)
    [stranger] = fake.act("create", document={"schemas": [], "userName": "mallory"})
    group = Group.objects.create(source="operator", name="staff", created_at=timezone.now(), updated_at=timezone.now())
    Membership.objects.bulk_create([Membership(person=one, group=group, since=timezone.now()) for one in people[:2]])
    members = [{"value": one} for one in (accounts[1].remote_id, accounts[2].remote_id, stranger["id"])]
    [made] = fake.act(
        "create", type="Group", document={"displayName": "staff", "externalId": str(group.uid), "members": members}
    )
    refresh_groups(target, [group.uid])
    RemoteGroup.objects.update(remote_id=made["id"], state="present")
    reconcile(target, actor=SYSTEM)
    drift = Drift.objects.get(kind="member")
    assert drift.differences == {
        "members to come": [1, "Person 0"],
        "members to go": [1, "Person 2"],
        "members that are none of ours": [1, "left alone"],
    }
    assert drift.repair == "sent"
    assert Delivery.objects.get(subject=f"group:{group.uid}").hold == ""


def test_a_group_that_would_lose_most_of_its_members_waits(fake: ScimTarget, target: Target) -> None:
    target.group_strategy, target.groups = Target.GroupStrategy.MEMBERSHIPS, ["staff"]
    target.breaker_count = 5
    target.save()
    accounts = house.put_there(fake, target, house.make_people(8))
    group = Group.objects.create(source="operator", name="staff", created_at=timezone.now(), updated_at=timezone.now())
    members = [{"value": one.remote_id} for one in accounts]
    [made] = fake.act(
        "create", type="Group", document={"displayName": "staff", "externalId": str(group.uid), "members": members}
    )
    refresh_groups(target, [group.uid])
    RemoteGroup.objects.update(remote_id=made["id"], state="present")
    reconcile(target, actor=SYSTEM)
    drift = Drift.objects.get()
    assert (drift.kind, drift.weight, drift.repair) == ("member", 8, "held")
    assert Delivery.objects.get(subject=f"group:{group.uid}").hold == drift.hold != ""


def test_the_scheduler_begins_what_is_due_and_no_more(fake: ScimTarget, target: Target) -> None:
    now = timezone.now()
    runs = start_due(now=now)
    assert len(runs) == 1
    assert start_due(now=now) == []
    assert start_due(now=now + limits.RUN_UNTAKEN + timedelta(seconds=5)) == runs
    Run.objects.update(ended_at=now, stage="ended", outcome="ok")
    assert start_due(now=now + limits.RECONCILE_INTERVAL - timedelta(minutes=1)) == []
    assert len(start_due(now=now + limits.RECONCILE_INTERVAL + timedelta(minutes=1))) == 1
    Target.objects.update(enabled=False)
    Run.objects.update(ended_at=now)
    assert start_due(now=now + timedelta(days=30)) == []


@pytest.mark.django_db(transaction=True)
def test_the_scheduler_carries_runs_to_their_end(fake: ScimTarget, target: Target) -> None:
    house.put_there(fake, target, house.make_people(1))
    assert reconcile_due() == 1
    run = Run.objects.get()
    assert (run.purpose, run.stage) == (Run.Purpose.RECONCILE, Run.Stage.WANTED)
    carry_run(str(run.pk))
    run.refresh_from_db()
    assert run.outcome == Run.Outcome.OK


def test_the_doctor_tells_of_drift_and_of_readings_that_failed(fake: ScimTarget, target: Target) -> None:
    assert [one.level for one in check_reconciliations()] == ["warning"]
    fake.act("create", document={"schemas": [], "userName": "mallory"})
    reconcile(target, actor=SYSTEM)
    assert [one.text for one in check_reconciliations()] == ["1 shadow at crm"]
    fake.fault("answer", method="GET", path="/Users", status=401)
    reconcile(target, actor=SYSTEM)
    [fault, _] = check_reconciliations()
    assert (fault.level, "target.unauthorized" in fault.text) == ("fault", True)
    with time_machine.travel(timezone.now() + 3 * limits.RECONCILE_INTERVAL):
        assert check_reconciliations()[0].level == "fault"


def test_drift_is_measured(fake: ScimTarget, target: Target) -> None:
    fake.act("create", document={"schemas": [], "userName": "mallory"})
    reconcile(target, actor=SYSTEM)
    drift, held, age = read_gauges()
    assert [(sample.labels, sample.value) for sample in drift.samples] == [({"target": "crm", "kind": "shadow"}, 1)]
    assert held.samples == []
    assert age.samples[0].value >= 0


def test_runs_and_drift_that_ended_are_forgotten_in_time(fake: ScimTarget, target: Target) -> None:
    fake.act("create", document={"schemas": [], "userName": "mallory"})
    reconcile(target, actor=SYSTEM)
    later = timezone.now() + limits.PLAN_RETENTION + timedelta(seconds=1)
    with time_machine.travel(later):
        assert forget() == 1
    assert Drift.objects.get().repaired_at is None
    Drift.objects.update(repaired_at=timezone.now())
    assert forget_ended(now=timezone.now()) == 0
    assert forget_ended(now=later) == 1
    assert not Drift.objects.exists()
