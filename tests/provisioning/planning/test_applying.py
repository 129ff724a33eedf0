"""A plan is carried out through the ledger, and what would close too many waits for a second human."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.approvals.models import Approval
from broker.approvals.services import approve, refuse
from broker.console.models import Operator
from broker.delivery.models import Delivery
from broker.errors import BrokerError
from broker.events.models import Event
from provisioning.outbound.models import Hold, Target
from provisioning.planning.applying import apply_plan
from provisioning.planning.models import Operation, Plan
from provisioning.planning.releasing import ask_release
from provisioning.planning.scheduling import make_plan
from tests.fakes.scim_target.running import ScimTarget
from tests.provisioning.planning import house

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _operators(make_operator: Callable[..., Operator]) -> None:
    for name in ("ada", "bob"):
        make_operator(f"{name}@acme.example")


@pytest.fixture
def thinned(fake: ScimTarget, target: Target) -> Target:
    """Of ten people there six left at once, and an eleventh came."""
    people = house.make_people(10)
    house.put_there(fake, target, people)
    house.close(people[:6])
    house.make_people(1, start=10)
    return target


def states(plan: Plan) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for key in plan.operations.values_list("action", "state"):
        found[key] = found.get(key, 0) + 1
    return found


def held() -> Any:
    return Delivery.objects.exclude(hold="").filter(settled_at=None)


def test_what_closes_too_many_waits_and_the_rest_goes(thinned: Target) -> None:
    plan = apply_plan(make_plan(thinned, actor=house.ADA), actor=house.ADA)
    assert states(plan) == {("disable", "held"): 6, ("create", "enqueued"): 1}
    assert plan.hold == "breaker:crm:1"
    assert held().count() == 6
    assert Delivery.objects.filter(hold="", settled_at=None, reference=f"plan:{plan.pk}").count() == 1
    hold = Hold.objects.get()
    assert (hold.state, hold.count, hold.accounts, hold.asked_by) == (Hold.State.ASKED, 6, 10, "ada@acme.example")
    assert Approval.objects.get().requested_by.email == "ada@acme.example"
    assert Event.objects.filter(type="breaker.tripped").count() == 1


def test_a_few_that_leave_wait_for_nobody(fake: ScimTarget, target: Target) -> None:
    people = house.make_people(10)
    house.put_there(fake, target, people)
    house.close(people[:2])
    plan = apply_plan(make_plan(target, actor=house.ADA), actor=house.ADA)
    assert states(plan) == {("disable", "enqueued"): 2}
    assert not held().exists()
    assert not Hold.objects.exists()


def test_a_second_human_lets_them_go(thinned: Target) -> None:
    plan = apply_plan(make_plan(thinned, actor=house.ADA), actor=house.ADA)
    approve(Approval.objects.get(), actor=house.BOB)
    assert not held().exists()
    assert states(plan) == {("disable", "enqueued"): 6, ("create", "enqueued"): 1}
    hold = Hold.objects.get()
    assert (hold.state, hold.decided_by) == (Hold.State.RELEASED, "bob@acme.example")
    assert Event.objects.get(type="breaker.released").details["deliveries"] == 6


def test_whoever_applied_it_does_not_release_it(thinned: Target) -> None:
    apply_plan(make_plan(thinned, actor=house.ADA), actor=house.ADA)
    with pytest.raises(BrokerError) as denied:
        approve(Approval.objects.get(), actor=house.ADA)
    assert denied.value.code == "approval.own"
    assert held().count() == 6


def test_what_is_refused_is_skipped_with_the_reason(thinned: Target) -> None:
    plan = apply_plan(make_plan(thinned, actor=house.ADA), actor=house.ADA)
    refuse(Approval.objects.get(), actor=house.BOB, reason="the file of HR was empty")
    assert not held().exists()
    skipped = Delivery.objects.filter(state=Delivery.State.SKIPPED)
    assert skipped.count() == 6
    assert {row.detail for row in skipped} == {"the file of HR was empty"}
    assert set(plan.operations.filter(action="disable").values_list("state", "reason")) == {
        (Operation.State.SKIPPED, "the file of HR was empty")
    }
    assert Hold.objects.get().state == Hold.State.REFUSED
    with pytest.raises(BrokerError) as decided:
        ask_release(Hold.objects.get(), actor=house.ADA)
    assert decided.value.code == "hold.decided"


def test_an_approval_is_of_exactly_those_who_were_shown(thinned: Target) -> None:
    apply_plan(make_plan(thinned, actor=house.ADA), actor=house.ADA)
    row = held().first()
    Delivery.objects.filter(pk=row.pk).update(subject="person:00000000-0000-0000-0000-000000000000")
    with pytest.raises(BrokerError) as changed:
        approve(Approval.objects.get(), actor=house.BOB)
    assert changed.value.code == "approval.changed"
    assert held().count() == 6


def test_nobody_is_asked_in_the_name_of_the_system(thinned: Target) -> None:
    apply_plan(make_plan(thinned, actor=SYSTEM), actor=SYSTEM)
    assert Hold.objects.get().state == Hold.State.OPEN
    assert not Approval.objects.exists()
    with pytest.raises(BrokerError) as refused:
        ask_release(Hold.objects.get(), actor=SYSTEM)
    assert refused.value.code == "approval.not_allowed"
    ask_release(Hold.objects.get(), actor=house.ADA)
    approve(Approval.objects.get(), actor=house.BOB)
    assert not held().exists()


def test_a_scope_that_suddenly_holds_nobody_closes_nobody_unasked(fake: ScimTarget, target: Target) -> None:
    house.put_there(fake, target, house.make_people(10))
    target.scope = {"groups": ["nobody is in it"]}
    target.save()
    plan = make_plan(target, actor=house.ADA)
    assert plan.counts == {"disable": 10, "destructive": 10}
    apply_plan(plan, actor=house.ADA)
    assert held().count() == 10
    assert Delivery.objects.filter(settled_at=None, hold="").count() == 0


def test_a_plan_is_applied_once(thinned: Target) -> None:
    plan = apply_plan(make_plan(thinned, actor=house.ADA), actor=house.ADA)
    with pytest.raises(BrokerError) as again:
        apply_plan(plan, actor=house.BOB)
    assert again.value.code == "plan.applied"
    assert Delivery.objects.filter(settled_at=None).count() == 7


def test_an_old_plan_is_not_applied(thinned: Target) -> None:
    plan = make_plan(thinned, actor=house.ADA)
    with time_machine.travel(timezone.now() + limits.PLAN_LIFETIME), pytest.raises(BrokerError) as old:
        apply_plan(plan, actor=house.ADA)
    assert old.value.code == "plan.outdated"
    assert not Delivery.objects.exists()


def test_a_newer_plan_takes_the_place_of_an_older(thinned: Target) -> None:
    older = make_plan(thinned, actor=house.ADA)
    make_plan(thinned, actor=house.ADA)
    with pytest.raises(BrokerError) as replaced:
        apply_plan(older, actor=house.ADA)
    assert replaced.value.code == "plan.outdated"


def test_nothing_is_applied_at_a_target_that_is_switched_off(thinned: Target) -> None:
    plan = make_plan(thinned, actor=house.ADA)
    Target.objects.update(enabled=False)
    with pytest.raises(BrokerError) as idle:
        apply_plan(plan, actor=house.ADA)
    assert idle.value.code == "run.target_idle"
    assert not Delivery.objects.exists()


def test_applying_goes_on_where_a_killed_process_stood(thinned: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(plan: Plan, number: int) -> None:
        raise Killed

    monkeypatch.setattr(limits, "PLAN_CHUNK", 3)
    plan = make_plan(thinned, actor=house.ADA)
    with pytest.raises(Killed):
        apply_plan(plan, actor=house.ADA, tell=die)
    assert Delivery.objects.count() == 3
    with pytest.raises(BrokerError) as taken:
        apply_plan(plan, actor=house.ADA)
    assert taken.value.code == "plan.applied"
    with time_machine.travel(timezone.now() + limits.RUN_LEASE + timedelta(seconds=1)):
        plan = apply_plan(plan, actor=house.ADA)
    assert Delivery.objects.count() == 7
    assert states(plan) == {("disable", "held"): 6, ("create", "enqueued"): 1}
    assert Hold.objects.get().count == 6


def test_a_person_without_a_name_for_the_account_does_not_stop_the_others(target: Target) -> None:
    nameless, _ = house.make_people(2)
    nameless.identifiers.all().delete()
    plan = apply_plan(make_plan(target, actor=house.ADA), actor=house.ADA)
    assert states(plan) == {("none", "skipped"): 1, ("create", "enqueued"): 1}
    assert plan.operations.get(person=nameless).reason == "userName has no value"
