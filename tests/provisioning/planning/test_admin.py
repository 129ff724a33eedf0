"""Operators read a plan before anything of it is sent, and see what waits for whom."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from broker.actors import SYSTEM
from broker.approvals.models import Approval
from broker.console.models import Operator
from broker.delivery.models import Delivery
from broker.events.models import Event
from provisioning.outbound.models import Hold, Target
from provisioning.planning.applying import apply_plan
from provisioning.planning.models import Drift, Plan, Run, Watch
from provisioning.planning.scheduling import make_plan, reconcile
from tests.fakes.scim_target.running import ScimTarget
from tests.provisioning.planning import house

pytestmark = pytest.mark.django_db


@pytest.fixture
def plan(fake: ScimTarget, target: Target) -> Plan:
    """Eight of ten left, one came, and one was changed there."""
    people = house.make_people(10)
    house.put_there(fake, target, people)
    fake.act("change", external_id=str(people[9].pk), document={"displayName": "Mallory"})
    house.close(people[:8])
    house.make_people(1, start=10)
    return make_plan(target, actor=house.ADA)


def shown(client: Client, name: str, *arguments: object, **query: str) -> str:
    answer = client.get(reverse(f"admin:{name}", args=arguments), query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_plan_shows_counts_and_each_difference_and_sends_nothing(console: Client, plan: Plan) -> None:
    page = shown(console, "planning_plan_change", plan.pk)
    for text in ("<b>8</b>", "<b>1</b>", "displayName: Mallory -&gt; Person 9", "active: yes -&gt; no", "p10@acme"):
        assert text in page
    assert "Apply" in page
    assert "displayName" not in shown(console, "planning_plan_change", plan.pk, action="disable")
    assert not Delivery.objects.exists()
    assert "Plan" in shown(console, "planning_plan_changelist")


def test_applying_from_the_page_holds_what_closes_too_many(console: Client, plan: Plan) -> None:
    answer = console.post(reverse("admin:planning_plan_change", args=[plan.pk]), {"decision": "apply"}, follow=True)
    assert "waits for a second operator" in answer.content.decode()
    plan.refresh_from_db()
    assert plan.state == Plan.State.APPLIED
    hold = Hold.objects.get()
    assert Delivery.objects.filter(hold=hold.name).count() == 8
    assert Approval.objects.get().state == "pending"
    page = shown(console, "outbound_hold_change", hold.pk)
    assert "another human than you" in page
    assert "Ask for the release" not in page
    assert "Holds" not in shown(console, "planning_plan_change", plan.pk) or "operations wait" in shown(
        console, "planning_plan_change", plan.pk
    )
    assert hold.name in shown(console, "outbound_hold_changelist")


def test_a_viewer_applies_and_begins_nothing(viewer_console: Client, plan: Plan) -> None:
    page = shown(viewer_console, "planning_plan_change", plan.pk)
    assert 'value="apply"' not in page
    answer = viewer_console.post(reverse("admin:planning_plan_change", args=[plan.pk]), {"decision": "apply"})
    assert answer.status_code == 403
    begin = viewer_console.post(reverse("admin:planning_begin"), {"target": "crm", "purpose": "plan"})
    assert begin.status_code == 403
    assert not Delivery.objects.exists()
    assert Run.objects.count() == 1


def test_nobody_who_is_not_signed_in_sees_a_plan(client: Client, plan: Plan) -> None:
    assert client.get(reverse("admin:planning_plan_change", args=[plan.pk])).status_code == 302


def test_a_plan_is_not_applied_twice_from_two_windows(console: Client, plan: Plan) -> None:
    for _ in range(2):
        answer = console.post(reverse("admin:planning_plan_change", args=[plan.pk]), {"decision": "apply"}, follow=True)
    assert "applied before" in answer.content.decode()
    assert Delivery.objects.count() == 10


def test_an_incomplete_plan_offers_nothing(console: Client, fake: ScimTarget, target: Target) -> None:
    house.put_there(fake, target, house.make_people(2))
    fake.fault("answer", method="GET", path="/Users", body='{"totalResults": 0, "Resources": []}')
    plan = make_plan(target, actor=house.ADA)
    page = shown(console, "planning_plan_change", plan.pk)
    assert 'value="apply"' not in page
    assert "inventory.empty" in page
    answer = console.post(reverse("admin:planning_plan_change", args=[plan.pk]), {"decision": "apply"}, follow=True)
    assert "did not read everything" in answer.content.decode()


def test_a_hold_of_the_system_is_asked_for_by_an_operator(console: Client, plan: Plan) -> None:
    apply_plan(plan, actor=SYSTEM)
    hold = Hold.objects.get()
    assert "Ask for the release" in shown(console, "outbound_hold_change", hold.pk)
    answer = console.post(reverse("admin:outbound_hold_change", args=[hold.pk]), {"decision": "ask"})
    assert answer["Location"] == reverse("admin:approvals_approval_change", args=[Approval.objects.get().pk])
    again = console.post(reverse("admin:outbound_hold_change", args=[hold.pk]), {"decision": "ask"}, follow=True)
    assert "waits for an approval already" in again.content.decode()


def test_another_operator_releases_it_from_the_approvals(
    console: Client, plan: Plan, make_operator: Callable[..., Operator], sign_in: Callable[..., Client]
) -> None:
    console.post(reverse("admin:planning_plan_change", args=[plan.pk]), {"decision": "apply"})
    approval = Approval.objects.get()
    own = console.post(
        reverse("admin:approvals_approval_change", args=[approval.pk]), {"decision": "approve"}, follow=True
    )
    assert own.status_code == 200
    assert Delivery.objects.exclude(hold="").count() == 8


def test_a_run_is_begun_from_the_console_and_carried_by_a_task(
    console: Client, fake: ScimTarget, target: Target
) -> None:
    house.put_there(fake, target, house.make_people(1))
    answer = console.post(reverse("admin:planning_begin"), {"target": "crm", "purpose": "plan"})
    run = Run.objects.get()
    assert answer["Location"] == reverse("admin:planning_run_change", args=[run.pk])
    assert "working out what should be there" in shown(console, "planning_run_change", run.pk)
    assert "is under way" in shown(console, "planning_plan_changelist")
    second = console.post(reverse("admin:planning_begin"), {"target": "crm", "purpose": "reconcile"}, follow=True)
    assert "Another run of this target is under way" in second.content.decode()
    nobody = console.post(reverse("admin:planning_begin"), {"target": "nobody", "purpose": "plan"}, follow=True)
    assert "Choose a target" in nobody.content.decode()


def test_runs_and_drift_name_what_was_found(console: Client, fake: ScimTarget, target: Target) -> None:
    fake.act("create", document={"schemas": [], "userName": "mallory"})
    run = reconcile(target, actor=SYSTEM)
    page = shown(console, "planning_run_change", run.pk)
    assert "differences found" in page
    assert "mallory" in shown(console, "planning_drift_changelist")
    drift = shown(console, "planning_drift_change", Drift.objects.get().pk)
    assert "nobody of ours" in drift
    assert "not yet: no later read showed it gone" in drift
    assert "(reconciliation)" in shown(console, "planning_run_changelist")


def test_how_often_a_target_is_read_is_an_operators_decision(console: Client, target: Target) -> None:
    add = reverse("admin:planning_watch_add")
    too_often = console.post(add, {"target": target.pk, "interval": "00:00:10", "policy": "report"})
    assert "At least 15 minutes" in too_often.content.decode()
    assert not Watch.objects.exists()
    console.post(add, {"target": target.pk, "interval": "06:00:00", "policy": "report"})
    watch = Watch.objects.get()
    assert (watch.interval, watch.policy) == (timedelta(hours=6), "report")
    assert watch.changed_at <= timezone.now()
    assert Event.objects.filter(type="party.changed", subject_id="crm").exists()
    change = console.get(reverse("admin:planning_watch_change", args=[watch.pk]))
    assert change.status_code == 200


@pytest.mark.parametrize("name", ["planning_plan_change", "planning_run_change", "outbound_hold_change"])
@pytest.mark.parametrize("key", ["0", "nonsense"])
def test_what_is_not_there_is_not_found(console: Client, name: str, key: str) -> None:
    assert console.get(reverse(f"admin:{name}", args=[key])).status_code == 404
