"""A target is read wholly, or nothing follows from it."""

import json
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.delivery.models import Delivery
from broker.errors import BrokerError
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.planning.applying import apply_plan
from provisioning.planning.models import Drift, Found, Operation, Plan, Run
from provisioning.planning.runs import LeaseLost, start_run, work_on
from provisioning.planning.scheduling import carry_slice, make_plan, reconcile, start_due
from tests.fakes.scim_target.running import ScimTarget
from tests.provisioning.planning import house

pytestmark = pytest.mark.django_db


def actions(plan: Plan) -> dict[str, int]:
    found: dict[str, int] = {}
    for action in plan.operations.values_list("action", flat=True):
        found[action] = found.get(action, 0) + 1
    return found


def test_a_plan_shows_each_action_with_what_differs_and_sends_nothing(fake: ScimTarget, target: Target) -> None:
    people = house.make_people(5)
    house.put_there(fake, target, people[:4])
    fake.act("change", external_id=str(people[1].pk), document={"displayName": "Somebody else"})
    house.close([people[2]])
    before = len(fake.effects())
    plan = make_plan(target, actor=house.ADA)
    assert plan.run.outcome == Run.Outcome.DRIFT
    assert actions(plan) == {"create": 1, "update": 1, "disable": 1}
    update = plan.operations.get(action="update")
    assert update.differences == {"displayName": ["Somebody else", "Person 1"]}
    assert update.person == people[1]
    created = plan.operations.get(action="create")
    assert created.differences["userName"] == [None, "p4@acme.example"]
    assert plan.operations.get(action="disable").differences == {"active": [True, False]}
    assert plan.run.checked == 5
    assert len(fake.effects()) == before
    assert not Found.objects.exists()


def test_a_target_as_it_should_be_has_an_empty_plan(fake: ScimTarget, target: Target) -> None:
    house.put_there(fake, target, house.make_people(3))
    plan = make_plan(target, actor=house.ADA)
    assert (plan.run.outcome, plan.run.checked, plan.counts) == (Run.Outcome.OK, 3, {})


def test_a_target_that_held_accounts_and_shows_none_was_not_checked(fake: ScimTarget, target: Target) -> None:
    people = house.make_people(5)
    house.put_there(fake, target, people)
    for one in fake.users():
        fake.act("delete", id=one["id"])
    run = reconcile(target, actor=house.ADA)
    assert (run.outcome, run.code, run.checked) == (Run.Outcome.NOTHING_CHECKED, "inventory.empty", 0)
    assert not Drift.objects.exists()
    assert not Delivery.objects.exists()
    assert RemoteAccount.objects.filter(state=RemoteAccount.State.PRESENT).count() == 5


def test_nothing_here_and_nothing_there_is_no_success(target: Target) -> None:
    run = reconcile(target, actor=house.ADA)
    assert (run.outcome, run.checked) == (Run.Outcome.NOTHING_CHECKED, 0)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"totalResults": 2, "Resources": [{"id": "a", "userName": "a"}]}', "inventory.doubled"),
        ('{"totalResults": 1, "Resources": [{"id": "a"}, {"id": "b"}]}', "inventory.truncated"),
        ('{"totalResults": 2, "Resources": [{"id": "a"}, {"id": "a"}]}', "inventory.doubled"),
        ('{"totalResults": 0, "Resources": []}', "inventory.empty"),
        ('{"totalResults": 3}', "inventory.empty"),
        ('{"Resources": []}', "target.not_scim"),
        ("<html>sign in</html>", "target.not_scim"),
        ("[]", "target.not_scim"),
    ],
)
def test_a_page_that_is_not_whole_closes_nobody(fake: ScimTarget, target: Target, body: str, code: str) -> None:
    people = house.make_people(4)
    house.put_there(fake, target, people)
    house.close(people[:2])
    fake.fault("answer", method="GET", path="/Users", body=body)
    plan = make_plan(target, actor=house.ADA)
    assert plan.run.outcome in (Run.Outcome.INCOMPLETE, Run.Outcome.NOTHING_CHECKED)
    assert plan.run.code == code
    assert plan.state == Plan.State.INCOMPLETE
    assert not Operation.objects.exists()
    assert not Found.objects.exists()
    with pytest.raises(BrokerError) as refused:
        apply_plan(plan, actor=house.ADA)
    assert refused.value.code == "plan.incomplete"
    run = reconcile(target, actor=house.ADA)
    assert run.outcome in (Run.Outcome.INCOMPLETE, Run.Outcome.NOTHING_CHECKED)
    assert not Drift.objects.exists()
    assert not Delivery.objects.exists()
    assert RemoteAccount.objects.filter(state=RemoteAccount.State.PRESENT).count() == 4


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"fault": "answer", "status": 401}, "target.unauthorized"),
        ({"fault": "answer", "status": 404}, "target.refused"),
        ({"fault": "html", "status": 200}, "target.not_scim"),
        ({"fault": "redirect"}, "target.redirect"),
    ],
)
def test_a_second_page_that_fails_ends_the_run(
    fake: ScimTarget, target: Target, fault: dict[str, object], code: str
) -> None:
    target.capabilities = {"page_size": 2}
    target.save()
    house.put_there(fake, target, house.make_people(5))
    fake.fault(**{"method": "GET", "path": "startIndex=3", **fault})  # type: ignore[arg-type]  # as told in the table
    run = reconcile(target, actor=house.ADA)
    assert (run.outcome, run.code, run.pages) == (Run.Outcome.INCOMPLETE, code, 1)
    assert not Drift.objects.exists()


def test_pages_that_end_before_the_total_are_no_whole_reading(fake: ScimTarget, target: Target) -> None:
    target.capabilities = {"page_size": 2}
    target.save()
    people = house.make_people(5)
    house.put_there(fake, target, people)
    fake.fault("answer", method="GET", path="startIndex=5", body='{"totalResults": 5, "Resources": []}')
    run = reconcile(target, actor=house.ADA)
    assert (run.outcome, run.code) == (Run.Outcome.INCOMPLETE, "inventory.truncated")
    assert not Delivery.objects.exists()


def test_a_total_that_shrinks_while_it_is_read_ends_the_run(fake: ScimTarget, target: Target) -> None:
    target.capabilities = {"page_size": 2}
    target.save()
    house.put_there(fake, target, house.make_people(6))
    body = '{"totalResults": 4, "Resources": [{"id": "x1"}, {"id": "x2"}]}'
    fake.fault("answer", method="GET", path="startIndex=3", body=body)
    run = reconcile(target, actor=house.ADA)
    assert (run.outcome, run.code) == (Run.Outcome.INCOMPLETE, "inventory.truncated")
    assert run.detail == "page 2; 6 in all, as before expected, 4 in all came"


def test_a_record_that_says_nothing_does_not_stop_the_others(fake: ScimTarget, target: Target) -> None:
    people = house.make_people(2)
    accounts = house.put_there(fake, target, people)
    bad, good = accounts
    resources = [
        {"id": bad.remote_id, "userName": "x" * 10, "emails": 7},
        {"userName": "without an id"},
        "no object at all",
        {"id": good.remote_id, "userName": "p1@acme.example", "displayName": "Other", "active": True},
    ]
    body = json.dumps({"totalResults": 4, "Resources": resources})
    fake.fault("answer", method="GET", path="/Users", body=body)
    plan = make_plan(target, actor=house.ADA)
    assert plan.state == Plan.State.READY
    assert plan.run.rejected_count == 2
    assert [reason for _, reason in plan.run.rejected] == ["without an id that can be asked for", "not an object"]
    assert plan.operations.get(person=good.person_id).action == "update"


def test_two_runs_of_one_target_at_once_are_refused(target: Target) -> None:
    start_run(target, purpose=Run.Purpose.PLAN, actor=house.ADA)
    with pytest.raises(BrokerError) as refused:
        start_run(target, purpose=Run.Purpose.RECONCILE, actor=house.BOB)
    assert refused.value.code == "run.under_way"


def test_nothing_is_read_of_a_target_that_is_switched_off(target: Target) -> None:
    target.enabled = False
    target.save()
    with pytest.raises(BrokerError) as refused:
        make_plan(target, actor=house.ADA)
    assert refused.value.code == "run.target_idle"


def test_a_run_whose_process_was_killed_is_taken_up_where_it_stood(fake: ScimTarget, target: Target) -> None:
    target.capabilities = {"page_size": 2}
    target.save()
    house.put_there(fake, target, house.make_people(5))
    run = start_run(target, purpose=Run.Purpose.RECONCILE, actor=house.ADA)
    # Time is over at once: one page.
    run = work_on(run, actor=house.ADA, until=timezone.now())
    assert (run.stage, run.pages, run.accounts) == (Run.Stage.ACCOUNTS, 1, 2)
    Run.objects.update(lease="of a killed process")
    with pytest.raises(LeaseLost):
        work_on(run, actor=house.ADA)
    with time_machine.travel(timezone.now() + limits.RUN_LEASE + timedelta(seconds=1)):
        before = fake.counts()["requests"]
        run = work_on(run, actor=house.ADA)
        assert (run.outcome, run.pages, run.accounts, run.checked) == (Run.Outcome.OK, 3, 5, 5)
        assert fake.counts()["requests"] - before == 2


def test_a_new_run_takes_the_place_of_a_killed_one(fake: ScimTarget, target: Target) -> None:
    house.put_there(fake, target, house.make_people(1))
    killed = start_run(target, purpose=Run.Purpose.PLAN, actor=house.ADA)
    with time_machine.travel(timezone.now() + limits.RUN_LEASE + timedelta(seconds=1)):
        run = reconcile(target, actor=house.ADA)
    killed.refresh_from_db()
    assert (killed.outcome, killed.code) == (Run.Outcome.INCOMPLETE, "run.abandoned")
    assert run.outcome == Run.Outcome.OK


def test_whoever_lost_the_lease_writes_nothing(fake: ScimTarget, target: Target) -> None:
    target.capabilities = {"page_size": 1}
    target.save()
    house.put_there(fake, target, house.make_people(3))

    def steal(run: Run) -> None:
        if run.pages:
            Run.objects.filter(pk=run.pk).update(lease="another's")

    run = start_run(target, purpose=Run.Purpose.RECONCILE, actor=house.ADA)
    with pytest.raises(LeaseLost):
        work_on(run, actor=house.ADA, tell=steal)
    assert Found.objects.filter(run=run).count() == 1
    assert Run.objects.get().pages == 1


def test_a_place_that_the_target_forgot_is_read_from_the_beginning_once(fake: ScimTarget, target: Target) -> None:
    target.capabilities = {"page_size": 2}
    target.save()
    house.put_there(fake, target, house.make_people(5))
    run = start_run(target, purpose=Run.Purpose.RECONCILE, actor=house.ADA)
    run = work_on(run, actor=house.ADA, until=timezone.now())
    fake.fault("answer", method="GET", path="startIndex=3", status=400, body='{"scimType": "expiredCursor"}', times=1)
    run = work_on(run, actor=house.ADA)
    assert (run.outcome, run.restarts, run.accounts) == (Run.Outcome.OK, 1, 5)
    fake.fault("answer", method="GET", path="startIndex=3", status=400, body='{"scimType": "expiredCursor"}')
    assert reconcile(target, actor=house.ADA).outcome == Run.Outcome.INCOMPLETE


def test_a_target_that_asks_to_wait_for_long_gets_its_worker_back(fake: ScimTarget, target: Target) -> None:
    house.put_there(fake, target, house.make_people(1))
    fake.fault("answer", method="GET", status=429, headers={"Retry-After": "300"}, times=1)
    run = start_run(target, purpose=Run.Purpose.RECONCILE, actor=house.ADA)
    assert carry_slice(run.pk) is False
    assert start_due(now=timezone.now()) == []
    later = timezone.now() + timedelta(seconds=301)
    with time_machine.travel(later):
        assert start_due(now=later) == [run.pk]
        carry_slice(run.pk)
    run.refresh_from_db()
    assert (run.outcome, run.checked) == (Run.Outcome.OK, 1)
