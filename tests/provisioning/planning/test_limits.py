"""Each limit of plans, runs and the breaker: what is at it passes, what is above it does not."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.errors import BrokerError
from provisioning.outbound.breaker import hold_for, is_too_many
from provisioning.outbound.connectors.base import Page, TargetError
from provisioning.outbound.models import Target
from provisioning.planning import runs
from provisioning.planning.applying import apply_plan
from provisioning.planning.comparing_groups import _named
from provisioning.planning.models import Found, Plan, Run
from provisioning.planning.runs import LeaseLost, is_passing, start_run, work_on
from provisioning.planning.scheduling import interval_of, make_plan, reconcile, start_due
from tests.fakes.scim_target.running import ScimTarget
from tests.provisioning.planning import house

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def test_so_few_within_the_hour_never_wait(target: Target) -> None:
    assert not is_too_many(target, limits.BREAKER_SMALLEST, accounts=0)
    assert is_too_many(target, limits.BREAKER_SMALLEST + 1, accounts=0)


def test_the_breaker_adds_up_over_its_window(target: Target) -> None:
    now = timezone.now()
    assert hold_for(target, destructive=limits.BREAKER_SMALLEST, now=now) == ""
    assert hold_for(target, destructive=1, now=now + limits.BREAKER_WINDOW) == ""
    assert hold_for(target, destructive=3, now=now + limits.BREAKER_WINDOW + SECOND) != ""


@pytest.mark.parametrize(("after", "is_refused"), [(-SECOND, True), (SECOND, False)])
def test_a_run_keeps_its_target_for_its_lease(target: Target, after: timedelta, is_refused: bool) -> None:
    start_run(target, purpose=Run.Purpose.PLAN, actor=house.ADA)
    with time_machine.travel(timezone.now() + limits.RUN_LEASE + after):
        if is_refused:
            with pytest.raises(BrokerError):
                start_run(target, purpose=Run.Purpose.PLAN, actor=house.ADA)
        else:
            start_run(target, purpose=Run.Purpose.PLAN, actor=house.ADA)


def test_a_comparison_keeps_its_run_for_longer(
    fake: ScimTarget, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.put_there(fake, target, house.make_people(1))

    def killed(run: Run, *_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "conclude", killed)
    with pytest.raises(KeyboardInterrupt):
        make_plan(target, actor=house.ADA)
    monkeypatch.undo()
    run = Run.objects.get()
    with time_machine.travel(timezone.now() + limits.RUN_COMPARE_LEASE - SECOND), pytest.raises(LeaseLost):
        work_on(run, actor=house.ADA)
    with time_machine.travel(timezone.now() + limits.RUN_COMPARE_LEASE + SECOND):
        assert work_on(run, actor=house.ADA).outcome == Run.Outcome.OK


def test_a_page_may_fail_so_often_and_no_more(
    fake: ScimTarget, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "WAIT_WITHOUT_WORD", timedelta(0))
    house.put_there(fake, target, house.make_people(1))
    fake.fault("answer", method="GET", path="/Users", status=503, times=limits.RUN_PAGE_FAILURES)
    assert reconcile(target, actor=house.ADA).outcome == Run.Outcome.OK
    fake.fault("answer", method="GET", path="/Users", status=503, times=limits.RUN_PAGE_FAILURES + 1)
    assert reconcile(target, actor=house.ADA).outcome == Run.Outcome.INCOMPLETE


@pytest.mark.parametrize(
    ("code", "status", "passes"),
    [
        ("target.timeout", None, True),
        ("target.throttled", 429, True),
        ("target.error", 500, True),
        ("target.redirect", None, False),
        ("target.too_large", None, False),
        ("target.unauthorized", 401, False),
        ("target.refused", 404, False),
    ],
)
def test_what_may_pass_is_asked_again(code: str, status: int | None, passes: bool) -> None:
    assert is_passing(TargetError(code, status=status)) is passes


def test_a_task_waits_so_long_for_a_target_and_no_longer(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    run = start_run(target, purpose=Run.Purpose.RECONCILE, actor=house.ADA)
    asked = int(limits.RUN_WAIT.total_seconds())
    until = timezone.now() + limits.RUN_SLICE
    with time_machine.travel(timezone.now(), tick=False):
        error = TargetError("target.throttled", status=429, headers={"retry-after": str(asked)})
        assert runs._wait(run, error, failures=1, until=until)
        assert waited == [asked]
        error = TargetError("target.throttled", status=429, headers={"retry-after": str(asked + 1)})
        assert not runs._wait(run, error, failures=1, until=until)
    assert run.resume_at is not None


def test_so_many_records_that_were_not_understood_are_named(target: Target) -> None:
    run = start_run(target, purpose=Run.Purpose.RECONCILE, actor=house.ADA)
    run = runs._take(run)
    run.stage = Run.Stage.ACCOUNTS
    rejected = [(str(number), "it says nothing") for number in range(limits.RUN_REJECTED + 1)]
    runs._stage_page(run, target, Page([], None, "", rejected))
    assert len(run.rejected) == limits.RUN_REJECTED
    assert run.rejected_count == limits.RUN_REJECTED + 1
    assert Found.objects.count() == limits.RUN_REJECTED + 1


@pytest.mark.parametrize(("before", "is_refused"), [(SECOND, False), (-SECOND, True)])
def test_a_plan_can_be_applied_for_its_lifetime(target: Target, before: timedelta, is_refused: bool) -> None:
    house.make_people(1)
    plan = make_plan(target, actor=house.ADA)
    with time_machine.travel(plan.made_at + limits.PLAN_LIFETIME - before):
        if is_refused:
            with pytest.raises(BrokerError):
                apply_plan(plan, actor=house.ADA)
        else:
            assert apply_plan(plan, actor=house.ADA).state == Plan.State.APPLIED


def test_a_target_without_a_watch_is_read_at_the_usual_interval(target: Target) -> None:
    assert interval_of(target) == limits.RECONCILE_INTERVAL


def test_a_run_that_nobody_took_is_taken_up(target: Target) -> None:
    run = start_run(target, purpose=Run.Purpose.PLAN, actor=house.ADA)
    assert start_due(now=run.began_at + limits.RUN_UNTAKEN - SECOND) == []
    assert start_due(now=run.began_at + limits.RUN_UNTAKEN) == [run.pk]


def test_so_many_members_are_named() -> None:
    people = house.make_people(limits.PLAN_NAMES + 1)
    assert "more" not in _named([one.pk for one in people[:-1]])
    assert _named([one.pk for one in people]).endswith(" and 1 more")


def test_chunks_change_nothing_about_what_is_found(
    fake: ScimTarget, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = house.make_people(9)
    accounts = house.put_there(fake, target, people)
    for one in accounts[:3]:
        fake.act("change", id=one.remote_id, document={"displayName": "Mallory"})
    for one in accounts[3:6]:
        fake.act("delete", id=one.remote_id)
    for number in range(3):
        fake.act("create", document={"schemas": [], "userName": f"shadow{number}"})
    monkeypatch.setattr(limits, "PLAN_CHUNK", 1)
    monkeypatch.setattr(limits, "PLAN_AHEAD", 2)
    plan = make_plan(target, actor=house.ADA)
    assert plan.counts == {"update": 3, "create": 3, "none": 3}
