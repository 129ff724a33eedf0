"""`manage.py provision` says what it did, and its exit status is true."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from broker.console.models import Operator
from broker.delivery.models import Delivery
from provisioning.outbound.models import Target
from provisioning.planning.models import Plan, Run
from provisioning.planning.runs import start_run
from tests.fakes.scim_target.running import ScimTarget
from tests.provisioning.planning import house

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[int, str, str]:
    """(exit status, standard output, standard error)"""
    out, errors = io.StringIO(), io.StringIO()
    try:
        call_command("provision", *arguments, stdout=out, stderr=errors)
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, out.getvalue(), errors.getvalue()


def as_json(*arguments: str) -> tuple[int, dict[str, Any]]:
    status, out, _ = run(*arguments, "--json")
    [told] = json.loads(out)["targets"]
    return status, told


def test_nothing_to_do_is_0(fake: ScimTarget, target: Target) -> None:
    house.put_there(fake, target, house.make_people(2))
    status, out, errors = run("--plan")
    assert (status, errors) == (0, "")
    assert "crm: nothing differs; 2 checked, 2 accounts and 0 groups read on 1 page." in out


def test_differences_are_2_and_each_is_told(fake: ScimTarget, target: Target) -> None:
    people = house.make_people(3)
    house.put_there(fake, target, people[:2])
    fake.act("change", external_id=str(people[0].pk), document={"displayName": "Mallory"})
    status, out, _ = run("--plan", "--target", "crm")
    assert status == 2
    assert "~ update: p0@acme.example" in out
    assert "displayName: Mallory -> Person 0" in out
    assert "+ create: p2@acme.example" in out
    assert "userName: nothing -> p2@acme.example" in out
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("what", ["--plan", "--reconcile"])
def test_a_target_that_is_not_read_wholly_is_1(fake: ScimTarget, target: Target, what: str) -> None:
    house.put_there(fake, target, house.make_people(2))
    fake.fault("answer", method="GET", path="/Users", body='{"totalResults": 0, "Resources": []}')
    status, out, errors = run(what)
    assert (status, out) == (1, "")
    assert "inventory.empty" in errors
    assert as_json("--status")[0] == 1


def test_zero_checked_is_no_success(target: Target) -> None:
    status, told = as_json("--reconcile")
    assert (status, told["outcome"], told["checked"]) == (1, "nothing_checked", 0)


def test_no_target_at_all_is_no_success(db: None) -> None:
    status, _, errors = run("--reconcile")
    assert status == 1
    assert "nothing was checked" in errors


def test_a_plan_is_applied_and_what_waits_is_2(
    fake: ScimTarget, target: Target, make_operator: Callable[..., Operator]
) -> None:
    make_operator()
    people = house.make_people(10)
    house.put_there(fake, target, people)
    house.close(people[:9])
    assert run("--plan")[0] == 2
    status, out, _ = run("--apply", "--operator", "ada@acme.example")
    assert status == 2
    assert "0 operations handed to the ledger" in out
    assert "9 more wait under breaker:crm:1 until a second operator releases them." in out
    assert Delivery.objects.filter(hold="breaker:crm:1").count() == 9
    again, _, errors = run("--apply")
    assert (again, "plan.applied" in errors) == (1, True)
    assert as_json("--status")[1]["held"] == 9


def test_creating_is_applied_with_0(fake: ScimTarget, target: Target) -> None:
    house.make_people(2)
    assert run("--plan")[0] == 2
    status, told = as_json("--apply")
    assert (status, told["sent"], told["held"]) == (0, 2, 0)
    assert Delivery.objects.count() == 2


def test_an_incomplete_plan_is_not_applied(fake: ScimTarget, target: Target) -> None:
    house.put_there(fake, target, house.make_people(2))
    fake.fault("answer", method="GET", status=401)
    assert run("--plan")[0] == 1
    status, _, errors = run("--apply")
    assert (status, "plan.incomplete" in errors) == (1, True)
    assert not Delivery.objects.exists()


def test_without_a_plan_there_is_nothing_to_apply(target: Target) -> None:
    with pytest.raises(CommandError, match="has no plan"):
        run("--apply")


def test_two_at_once_are_refused(target: Target) -> None:
    start_run(target, purpose=Run.Purpose.PLAN, actor=house.ADA)
    status, _, errors = run("--reconcile")
    assert (status, "run.under_way" in errors) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [("--plan", "--target", "nobody"), ("--plan", "--operator", "mallory@acme.example"), ("--plan", "--apply"), ()],
)
def test_wrong_arguments_do_nothing(target: Target, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)
    assert not Run.objects.exists()


def test_a_viewer_answers_for_nothing(target: Target, make_operator: Callable[..., Operator]) -> None:
    make_operator("vic@acme.example", role=Operator.Role.VIEWER)
    with pytest.raises(CommandError, match="not an active operator"):
        run("--plan", "--operator", "vic@acme.example")
    assert not Plan.objects.exists()


def test_the_status_tells_of_drift(fake: ScimTarget, target: Target) -> None:
    assert as_json("--status")[0] == 1
    fake.act("create", document={"schemas": [], "userName": "mallory"})
    assert run("--reconcile")[0] == 2
    status, out, _ = run("--status")
    assert status == 2
    assert "drift: 1 shadow" in out


def test_a_target_that_fails_does_not_stop_the_others(fake: ScimTarget, target: Target) -> None:
    house.put_there(fake, target, house.make_people(1))
    house.make_target("http://127.0.0.1:9/scim/v2", slug="away")
    status, out, errors = run("--status")
    assert status == 1
    Run.objects.all().delete()
    start_run(Target.objects.get(slug="away"), purpose=Run.Purpose.PLAN, actor=house.ADA)
    status, out, errors = run("--reconcile")
    assert status == 1
    assert "away: run.under_way" in errors
    assert "crm: nothing differs" in out


def test_the_help_says_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("provision", "--help")
    assert "exit status:" in capsys.readouterr().out
