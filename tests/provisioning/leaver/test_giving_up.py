"""What operators and programs give up of a leaver's: the case stays open, turns red, and says who it was and why."""

from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.approvals.models import Approval
from broker.console.models import Operator
from broker.delivery.enqueueing import NewDelivery, enqueue
from broker.delivery.models import Delivery
from broker.events.models import Event
from provisioning.outbound.models import Hold
from provisioning.planning.releasing import ask_release
from tests.broker.api.calls import make_caller
from tests.provisioning.leaver.places import Places
from tests.provisioning.leaver.stage import (
    OPERATOR,
    Leaver,
    export,
    seal,
    verify,
    with_account,
    with_session,
    work,
)

pytestmark = pytest.mark.django_db
LANE = "target:crm"
WHY = "the file of HR was wrong"


def write_off(row: Delivery, reason: str = WHY) -> str:
    """By a program that holds the scope. Returns its client_id."""
    api = make_caller("deliveries.read", "deliveries.write")
    path = f"/deliveries/{row.pk}"
    answer = api.patch(path, {"decision": "write_off", "reason": reason}, If_Match=api.etag(path))
    assert answer.status_code == 200, answer.content
    return str(api.client.client_id)


@pytest.fixture
def held(leaver: Leaver) -> Hold:
    """The breaker holds the closing of this leaver's account, and an operator asked for its release."""
    account = with_account(leaver, "crm")
    hold = Hold.objects.create(
        target=account.target, name="breaker:crm:1", number=1, count=1, counted=0, accounts=9, opened_at=timezone.now()
    )
    leaver.leave()
    row = NewDelivery(lane=LANE, subject=f"person:{leaver.person.pk}", hold=hold.name, must_arrive=True)
    enqueue("scim", [row], actor=SYSTEM)
    work()
    assert leaver.item("target").code == "held"
    return hold


@pytest.fixture
def refuse(held: Hold, console: Client) -> None:
    """One operator is enough for that, on the console's page."""
    Operator.objects.get(email=OPERATOR.identifier)
    approval = ask_release(held, actor=OPERATOR)
    page = f"/admin/approvals/approval/{approval.pk}/change/"
    console.post(page, {"decision": "refuse", "reason": WHY})
    assert Approval.objects.get().state == Approval.State.REFUSED


def test_a_refusal_without_a_reason_is_none(held: Hold, console: Client, leaver: Leaver) -> None:
    approval = ask_release(held, actor=OPERATOR)
    page = f"/admin/approvals/approval/{approval.pk}/change/"
    answer = console.post(page, {"decision": "refuse", "reason": "  "}, follow=True)
    assert "Say why" in answer.content.decode()
    assert Approval.objects.get().state == Approval.State.PENDING
    assert leaver.item("target").code == "held"


@pytest.mark.usefixtures("refuse")
def test_what_a_refused_hold_kept_open_is_named_and_turns_red(leaver: Leaver, places: Places) -> None:
    places.active[LANE] = True
    work()
    item = leaver.item("target")
    assert (item.state, item.code) == ("open", "refused")
    assert item.note == f"ada@acme.example: {WHY}"
    assert Event.objects.get(type="breaker.refused").details["reason"] == WHY
    with time_machine.travel(item.deadline + timedelta(seconds=1)):
        work()
    assert leaver.case.state == "late"
    assert Event.objects.filter(type="leaver.late").count() == 1


@pytest.mark.usefixtures("refuse")
def test_what_an_operator_refused_to_close_is_not_closed_from_here_instead(leaver: Leaver, places: Places) -> None:
    places.active[LANE] = True
    for hours in range(1, 4):
        with time_machine.travel(timezone.now() + timedelta(hours=hours)):
            work()
    assert places.active[LANE] is True
    assert Delivery.objects.filter(kind="leaver.read", state="confirmed").count() == 3
    assert Delivery.objects.filter(kind="scim").count() == 1
    assert leaver.item("target").code == "refused"


@pytest.mark.usefixtures("refuse")
def test_a_target_is_not_read_all_the_time_for_what_stays_refused(leaver: Leaver, places: Places) -> None:
    """A breaker refuses many at once."""
    places.active[LANE] = True
    began = timezone.now()
    for minutes in range(1, 60, 10):
        with time_machine.travel(began + timedelta(minutes=minutes)):
            work(rounds=1)
    assert not Delivery.objects.filter(kind="leaver.read").exists()


@pytest.mark.usefixtures("refuse")
def test_an_operator_has_it_closed_after_all_for_this_leaver(console: Client, leaver: Leaver, places: Places) -> None:
    places.active[LANE] = True
    work()
    answer = console.post(f"/admin/leaver/case/{leaver.case.pk}/ask", follow=True)
    assert "1 target is asked now." in answer.content.decode()
    work()
    assert (leaver.item("target").state, leaver.case.state, places.active[LANE]) == ("read_back", "green", False)
    assert leaver.item("target").note == ""


@pytest.mark.usefixtures("refuse")
def test_its_account_found_closed_settles_it_all_the_same(leaver: Leaver, places: Places) -> None:
    places.active[LANE] = False  # somebody closed it there by hand
    with time_machine.travel(timezone.now() + limits.LEAVER_REREAD_RETRY):
        work()
    assert (leaver.item("target").state, leaver.item("target").code) == ("read_back", "inactive")


def test_a_closing_that_a_program_wrote_off_leaves_the_case_open_and_names_it(leaver: Leaver, places: Places) -> None:
    with_account(leaver, "crm")
    places.behaviour[LANE], places.active[LANE] = "down", True
    case = leaver.leave()
    leaver.ask_targets_to_close()
    work()
    who = write_off(Delivery.objects.get(kind="scim"))
    work(rounds=1)
    item = leaver.item("target")
    assert (item.state, item.code) == ("open", "written_off")
    assert item.note == f"{who}: {WHY}"
    case.refresh_from_db()
    assert case.state == "open"


def test_a_closing_that_was_written_off_is_asked_for_anew_while_the_account_reads_open(
    leaver: Leaver, places: Places
) -> None:
    """Nobody talks a leaver's account away: what is written off is late, and named, and closed all the same."""
    with_account(leaver, "crm")
    places.behaviour[LANE], places.active[LANE] = "down", True
    leaver.leave()
    leaver.ask_targets_to_close()
    work()
    write_off(Delivery.objects.get(kind="scim"))
    places.behaviour[LANE] = "closes"
    with time_machine.travel(leaver.item("target").deadline + timedelta(minutes=1)):
        work()
        assert (leaver.item("target").state, places.active[LANE]) == ("read_back", False)
    assert leaver.item("target").late_at is not None


def test_an_application_that_nobody_was_told_of_after_a_write_off_is_not_green_while_its_session_may_go_on(
    leaver: Leaver, places: Places
) -> None:
    session = with_session(leaver, tell=True)
    lane = f"client:{session.participants.get().client.client_id}"
    places.behaviour[lane] = "down"
    leaver.leave()
    who = write_off(Delivery.objects.get(kind="logout.oidc"))
    work()
    item = leaver.item("application")
    assert (item.state, item.code, item.note) == ("open", "written_off", f"{who}: {WHY}")
    with time_machine.travel(item.deadline + timedelta(seconds=1)):
        work()
        assert leaver.case.state == "late"
    with time_machine.travel(session.expires_at + timedelta(seconds=1)):
        work()
    assert (leaver.item("application").state, leaver.item("application").late_at is None) == ("not_verifiable", False)


@pytest.mark.usefixtures("refuse")
def test_the_page_and_the_certificate_name_who_gave_it_up(
    leaver: Leaver, places: Places, console: Client, log: Path, tmp_path: Path
) -> None:
    places.active[LANE] = True
    work()
    page = console.get(f"/admin/leaver/case/{leaver.case.pk}/change/").content.decode()
    assert f"ada@acme.example: {WHY}" in page
    seal()
    exported = export(leaver.case)
    [item] = [one for one in exported["items"] if one["kind"] == "target"]
    assert (item["state"], item["code"], item["note"]) == ("open", "refused", f"ada@acme.example: {WHY}")
    assert verify(tmp_path, exported, anchor=log).returncode == 0
    item["note"] = "nobody: nothing"
    assert verify(tmp_path, exported, anchor=log).returncode == 1
