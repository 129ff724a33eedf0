"""An operator has the targets asked now: evidence settles items as ever, and what is held or paused stays so."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from broker import limits
from broker.delivery.models import Delivery, Lane
from broker.delivery.services import pause_lane
from broker.directory.services import reactivate_person
from broker.events.models import Event
from provisioning.leaver.models import Case
from provisioning.outbound.models import Target
from tests.provisioning.leaver.places import Places
from tests.provisioning.leaver.stage import OPERATOR, Leaver, with_account, with_session, work

pytestmark = pytest.mark.django_db
LANE = "target:crm"
ASKED = "1 target is asked now."
NOBODY_ASKED = "No target was asked"


@pytest.fixture(autouse=True)
def account(leaver: Leaver) -> None:
    with_account(leaver, "crm")


def ask(console: Client, case: Case) -> str:
    answer = console.post(f"/admin/leaver/case/{case.pk}/ask", follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def leave(leaver: Leaver) -> Case:
    leaver.leave()
    leaver.ask_targets_to_close()
    work()
    return leaver.case


def wait_long(**columns: Any) -> None:
    """The next attempt is an hour away."""
    Delivery.objects.filter(settled_at=None).update(due_at=timezone.now() + timedelta(hours=1), **columns)


def test_a_target_that_lied_and_was_mended_is_asked_at_once(console: Client, leaver: Leaver, places: Places) -> None:
    places.behaviour[LANE] = "lies"
    case = leave(leaver)
    wait_long()
    places.behaviour[LANE] = "closes"
    work()
    assert leaver.item("target").code == "target.lied"
    assert ASKED in ask(console, case)
    work()
    assert leaver.case.state == "green"
    told = Event.objects.get(type="leaver.asked_again")
    assert (told.actor_id, told.subject_id, told.details["items"]) == ("ada@acme.example", str(case.pk), 1)


def test_a_target_that_lies_on_stays_named(console: Client, leaver: Leaver, places: Places) -> None:
    places.behaviour[LANE] = "lies"
    case = leave(leaver)
    wait_long()
    ask(console, case)
    work()
    assert (leaver.case.state, leaver.item("target").code) == ("open", "target.lied")


def test_an_account_that_somebody_opened_again_is_found_at_once(
    console: Client, leaver: Leaver, places: Places
) -> None:
    case = leave(leaver)
    places.active[LANE], places.behaviour[LANE] = True, "down"
    work()
    assert leaver.case.state == "green"
    assert ASKED in ask(console, case)
    work()
    assert (leaver.case.state, leaver.item("target").code) == ("reopened", "access_returned")


def test_a_reading_that_was_asked_for_takes_no_planned_ones_place(console: Client, leaver: Leaver) -> None:
    case = leave(leaver)
    for _ in limits.LEAVER_REREADS:
        ask(console, case)
        work()
    item = leaver.item("target")
    assert item.settled_at is not None
    assert (item.reread, item.read_next_at) == (0, item.settled_at + limits.LEAVER_REREADS[0])
    with time_machine.travel(item.settled_at + limits.LEAVER_REREADS[2], tick=False):
        work()
    assert leaver.item("target").reread == 3


def test_a_lane_that_nobody_answered_in_goes_on(console: Client, leaver: Leaver, places: Places) -> None:
    places.behaviour[LANE] = "down"
    case = leave(leaver)
    wait_long()
    Lane.objects.filter(name=LANE).update(state="broken", not_before=timezone.now() + timedelta(minutes=5))
    places.behaviour[LANE] = "closes"
    assert ASKED in ask(console, case)
    work()
    assert leaver.case.state == "green"


def test_a_reading_that_waits_is_attempted_too(console: Client, leaver: Leaver) -> None:
    case = leave(leaver)
    with time_machine.travel(timezone.now() + timedelta(minutes=2), tick=False):
        Lane.objects.filter(name=LANE).update(state="paused")
        work()
        wait_long()
        Lane.objects.filter(name=LANE).update(state="open")
        assert ASKED in ask(console, case)
        work()
        assert leaver.item("target").reread == 1


@pytest.mark.parametrize("state", ["paused", "stopped"])
def test_a_lane_that_an_operator_paused_or_a_receiver_refuses_stays_so(
    console: Client, leaver: Leaver, state: str
) -> None:
    pause_lane(LANE, reason="They move house.", actor=OPERATOR)
    Lane.objects.filter(name=LANE).update(state=state)
    case = leave(leaver)
    ask(console, case)
    work()
    assert Lane.objects.get(name=LANE).state == state
    assert leaver.case.state == "open"


def test_what_the_breaker_holds_stays_held(console: Client, leaver: Leaver, places: Places) -> None:
    places.behaviour[LANE] = "down"
    case = leave(leaver)
    wait_long(hold="crm:1")
    places.behaviour[LANE] = "closes"
    assert NOBODY_ASKED in ask(console, case)
    work()
    assert leaver.item("target").is_open
    assert not Event.objects.filter(type="leaver.asked_again").exists()


def test_nobody_is_asked_where_the_target_is_switched_off(console: Client, leaver: Leaver, places: Places) -> None:
    places.behaviour[LANE] = "down"
    case = leave(leaver)
    Lane.objects.filter(name=LANE).update(state="broken")
    Target.objects.update(enabled=False)
    assert NOBODY_ASKED in ask(console, case)
    assert Lane.objects.get(name=LANE).state == "broken"


def test_nobody_is_asked_where_accounts_are_kept(console: Client, leaver: Leaver) -> None:
    Target.objects.update(leaver_policy="keep")
    assert NOBODY_ASKED in ask(console, leaver.leave())


def test_other_doors_are_no_targets(console: Client, leaver: Leaver) -> None:
    with_session(leaver)
    case = leave(leaver)
    assert ASKED in ask(console, case)


def test_the_case_of_somebody_who_returned_is_over(console: Client, leaver: Leaver) -> None:
    case = leave(leaver)
    reactivate_person(leaver.person, reason="back", actor=OPERATOR)
    work()
    assert "This case is over" in ask(console, case)
    assert "Ask the targets now" not in console.get(f"/admin/leaver/case/{case.pk}/change/").content.decode()
    assert not Event.objects.filter(type="leaver.asked_again").exists()


def test_a_viewer_asks_nobody_and_sees_no_button(viewer_console: Client, leaver: Leaver) -> None:
    case = leave(leaver)
    assert "Ask the targets now" not in viewer_console.get(f"/admin/leaver/case/{case.pk}/change/").content.decode()
    assert viewer_console.post(f"/admin/leaver/case/{case.pk}/ask").status_code == 403
    assert leaver.item("target").reading is None


def test_a_link_asks_nobody(console: Client, leaver: Leaver) -> None:
    case = leave(leaver)
    assert "Ask the targets now" in console.get(f"/admin/leaver/case/{case.pk}/change/").content.decode()
    assert console.get(f"/admin/leaver/case/{case.pk}/ask").status_code == 405
