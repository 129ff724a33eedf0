"""A target that was emptied: nobody believes it alone, and nothing is doubled where it was not true."""

from collections.abc import Callable, Sequence

import pytest
from django.test import Client
from django.urls import reverse

from broker.approvals.models import Approval
from broker.approvals.services import approve, refuse
from broker.console.models import Operator
from broker.delivery.carrying import carry
from broker.delivery.models import Delivery
from broker.errors import BrokerError
from broker.events.models import Event
from provisioning.outbound.models import CatchUp, Hold, RemoteAccount, Target
from provisioning.outbound.registering import change_target
from provisioning.outbound.tasks import carry_catch_up
from provisioning.planning.emptied import ask_to_believe
from provisioning.planning.models import Run
from provisioning.planning.scheduling import reconcile
from tests.fakes.scim_target.running import ScimTarget
from tests.provisioning.planning import house

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _operators(request: pytest.FixtureRequest, make_operator: Callable[..., Operator]) -> None:
    make_operator("bob@acme.example")
    if "console" not in request.fixturenames:  # where ada sits
        make_operator("ada@acme.example")


@pytest.fixture
def people(fake: ScimTarget, target: Target) -> Sequence[object]:
    """Six people with accounts there, of whom one left and was closed."""
    found = house.make_people(6)
    house.put_there(fake, target, found)
    house.close(found[5:])
    RemoteAccount.objects.filter(person=found[5]).update(aim="disabled", state="disabled", read_active=False)
    return found


def empty(fake: ScimTarget) -> None:
    for one in fake.users():
        fake.act("delete", id=one["id"])


def work(target: Target) -> None:
    """As the worker does."""
    carry_catch_up(str(CatchUp.objects.get(target=target).pk))
    for _ in range(10):
        if not carry(target.lane):
            return


def read_nothing(fake: ScimTarget, target: Target) -> Run:
    empty(fake)
    run = reconcile(target, actor=house.ADA)
    assert run.code == "inventory.empty"
    return run


@pytest.mark.usefixtures("people")
def test_once_a_second_operator_believes_it_its_accounts_are_made_anew(
    fake: ScimTarget, target: Target, console: Client
) -> None:
    run = read_nothing(fake, target)
    page = reverse("admin:planning_run_change", args=[run.pk])
    assert "Ask to take it for empty" in console.get(page).content.decode()
    answer = console.post(page, {"decision": "believe"})
    approval = Approval.objects.get()
    assert answer["Location"] == reverse("admin:approvals_approval_change", args=[approval.pk])
    assert "another operator" in console.get(page).content.decode()
    assert not Delivery.objects.exists()
    approve(approval, actor=house.BOB)
    work(target)
    assert sorted(one["userName"] for one in fake.users()) == [f"p{number}@acme.example" for number in range(5)]
    assert all(one["active"] for one in fake.users())
    assert not Hold.objects.exists()
    told = Event.objects.get(type="target.emptied").details
    assert (told["accounts"], told["proposed_by"], told["approved_by"]) == (6, "ada@acme.example", "bob@acme.example")
    assert reconcile(target, actor=house.ADA).outcome == Run.Outcome.OK


@pytest.mark.usefixtures("people")
def test_a_reading_that_was_wrong_doubles_nobody(fake: ScimTarget, target: Target) -> None:
    fake.fault("answer", method="GET", path="/Users", body='{"totalResults": 0, "Resources": []}', times=1)
    run = reconcile(target, actor=house.ADA)
    assert run.code == "inventory.empty"
    before = sorted(one["id"] for one in fake.users())
    approve(ask_to_believe(run, actor=house.ADA), actor=house.BOB)
    work(target)
    assert sorted(one["id"] for one in fake.users()) == before
    standing = RemoteAccount.objects.filter(state="present").values_list("remote_id", flat=True)
    assert set(standing) <= set(before)
    assert len(standing) == 5


@pytest.mark.usefixtures("people")
def test_nobody_believes_it_alone(fake: ScimTarget, target: Target) -> None:
    approval = ask_to_believe(read_nothing(fake, target), actor=house.ADA)
    with pytest.raises(BrokerError) as denied:
        approve(approval, actor=house.ADA)
    assert denied.value.code == "approval.own"
    assert RemoteAccount.objects.exclude(remote_id="").count() == 6
    assert not CatchUp.objects.exists()


@pytest.mark.usefixtures("people")
def test_what_is_refused_is_forgotten_nowhere(fake: ScimTarget, target: Target) -> None:
    approval = ask_to_believe(read_nothing(fake, target), actor=house.ADA)
    refuse(approval, actor=house.BOB, reason="the credential sees another tenant")
    assert RemoteAccount.objects.exclude(remote_id="").count() == 6
    assert not Event.objects.filter(type="target.emptied").exists()


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("since", ["read again", "switched off", "known otherwise"])
def test_what_changed_since_it_was_asked_is_another_question(fake: ScimTarget, target: Target, since: str) -> None:
    fake.fault("answer", method="GET", path="/Users", body='{"totalResults": 0, "Resources": []}', times=1)
    approval = ask_to_believe(reconcile(target, actor=house.ADA), actor=house.ADA)
    match since:
        case "read again":
            reconcile(target, actor=house.ADA)
        case "switched off":
            change_target(target, actor=house.ADA, enabled=False)
        case _:
            RemoteAccount.objects.filter(pk=RemoteAccount.objects.values("pk")[:1]).update(state="deleted")
    with pytest.raises(BrokerError) as denied:
        approve(approval, actor=house.BOB)
    assert denied.value.code == "approval.changed"
    assert not Event.objects.filter(type="target.emptied").exists()


@pytest.mark.usefixtures("people")
def test_a_run_that_read_something_is_not_asked_about(target: Target, console: Client) -> None:
    run = reconcile(target, actor=house.ADA)
    page = reverse("admin:planning_run_change", args=[run.pk])
    assert "take it for empty" not in console.get(page).content.decode()
    assert "nothing here to be approved" in console.post(page, {"decision": "believe"}, follow=True).content.decode()
    assert not Approval.objects.exists()


@pytest.mark.usefixtures("people")
def test_a_viewer_asks_for_nothing(fake: ScimTarget, target: Target, viewer_console: Client) -> None:
    page = reverse("admin:planning_run_change", args=[read_nothing(fake, target).pk])
    assert "Ask to take it for empty" not in viewer_console.get(page).content.decode()
    assert viewer_console.post(page, {"decision": "believe"}).status_code == 403
    assert not Approval.objects.exists()
