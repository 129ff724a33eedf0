"""Each row of the table of limits about leavers: what is at the limit passes, what is above it does not."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.models import Delivery
from broker.directory.services import deactivate_person
from provisioning.leaver.models import Case
from provisioning.leaver.retention import forget_cases
from provisioning.leaver.sealed import sealed_part
from provisioning.leaver.settling import settle_case, settle_due
from tests.factories import make_person, make_service
from tests.provisioning.leaver.places import Places
from tests.provisioning.leaver.stage import EMAIL, Leaver, make_target, seal, with_account, with_session, work
from tests.provisioning.leaver.test_offline import something_of_others

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def is_late(case: Case, kind: str, at: datetime) -> bool:
    settle_case(case.pk, now=at)
    return bool(case.items.get(kind=kind).late_at)


@pytest.mark.parametrize(("over", "late"), [(timedelta(0), False), (SECOND, True)])
def test_what_we_close_ourselves_is_late_after_its_deadline(leaver: Leaver, over: timedelta, late: bool) -> None:
    with_session(leaver)
    begin = timezone.now()
    with time_machine.travel(begin, tick=False):
        deactivate_person(leaver.person, reason="left", actor=SYSTEM)
    with time_machine.travel(begin + limits.LEAVER_DOOR_DEADLINE + over, tick=False):
        work()
    assert bool(leaver.item("session").late_at) is late


def test_an_application_is_late_after_its_deadline(leaver: Leaver, places: Places) -> None:
    session = with_session(leaver, tell=True)
    places.behaviour[f"client:{session.participants.get().client.client_id}"] = "down"
    case = leaver.leave()
    deadline = case.left_at + limits.LEAVER_LOGOUT_DEADLINE
    assert not is_late(case, "application", deadline)
    assert is_late(case, "application", deadline + SECOND)


def test_what_has_no_new_owner_is_late_after_its_deadline(leaver: Leaver) -> None:
    make_service(owner=EMAIL)
    case = leaver.leave()
    deadline = case.left_at + limits.LEAVER_OWNER_DEADLINE
    assert not is_late(case, "ownership", deadline)
    assert is_late(case, "ownership", deadline + SECOND)


def test_an_account_that_nobody_closes_is_read_after_the_pause(leaver: Leaver) -> None:
    with_account(leaver, "crm")
    case = leaver.leave()
    readings = Delivery.objects.filter(kind="leaver.read")
    settle_case(case.pk, now=case.left_at + limits.LEAVER_READ_PAUSE - SECOND)
    assert not readings.exists()
    settle_case(case.pk, now=case.left_at + limits.LEAVER_READ_PAUSE)
    assert readings.count() == 1


def test_an_open_case_is_looked_at_often_and_an_old_one_less(leaver: Leaver) -> None:
    make_service(owner=EMAIL)
    case = leaver.leave()
    young = case.state_since + limits.LEAVER_LOOK_LATER - SECOND
    settle_case(case.pk, now=young)
    assert leaver.case.look_at == young + limits.LEAVER_LOOK_INTERVAL
    settle_case(case.pk, now=young + SECOND)
    assert leaver.case.look_at == young + SECOND + limits.LEAVER_LOOK_INTERVAL_LATER


def test_one_run_looks_at_so_many_cases(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LEAVER_CASES_PER_RUN", 2)
    make_target("crm")
    for _ in range(3):
        deactivate_person(make_person(), reason="left", actor=SYSTEM)
    work(1)
    now = timezone.now() + timedelta(minutes=1)
    assert Case.objects.filter(look_at__lte=now).count() == 3
    assert [settle_due(now=now), settle_due(now=now), settle_due(now=now)] == [2, 1, 0]


@pytest.mark.parametrize(("most", "length"), [(3, 3), (2, 1)])
def test_an_export_reaches_so_many_seals_or_no_further_than_it_must(
    leaver: Leaver, log: Any, monkeypatch: pytest.MonkeyPatch, most: int, length: int
) -> None:
    monkeypatch.setattr(limits, "LEAVER_SEALS_IN_EXPORT", most)
    case = leaver.leave()
    seal()
    for _ in range(2):
        something_of_others()
        seal()
    assert len(sealed_part([case.cause_event], rows=None).seals) == length


@pytest.mark.parametrize(("rows", "seals_read"), [(0, 1), (1, 2), (2, 3), (None, 3)])
def test_an_export_reads_so_many_events_of_others_again(
    leaver: Leaver, log: Any, rows: int | None, seals_read: int
) -> None:
    case = leaver.leave()
    seal()
    for _ in range(2):
        something_of_others()
        seal()
    part = sealed_part([case.cause_event], rows=rows)
    assert [one["seal"] for one in part.seals].index(part.read_until) == seals_read - 1
    assert part.newest == part.seals[-1]["seal"]


@pytest.mark.parametrize(("over", "forgotten"), [(timedelta(0), 0), (SECOND, 1)])
def test_a_case_is_kept_for_its_retention(leaver: Leaver, over: timedelta, forgotten: int) -> None:
    case = leaver.leave()
    assert limits.LEAVER_CASE_RETENTION < limits.EVENT_RETENTION
    assert forget_cases(now=case.opened_at + limits.LEAVER_CASE_RETENTION + over) == forgotten


def test_a_reading_that_came_to_nothing_is_tried_anew_after_its_pause(leaver: Leaver, places: Places) -> None:
    with_account(leaver, "crm")
    leaver.leave()
    leaver.ask_targets_to_close()
    work()
    begin = timezone.now() + timedelta(minutes=2)
    settle_case(leaver.case.pk, now=begin)
    reading = Delivery.objects.filter(pk=leaver.item("target").reading)
    reading.update(state="dead", settled_at=begin, lease="", lease_until=None)
    settle_case(leaver.case.pk, now=begin)
    item = leaver.item("target")
    assert (item.state, item.reading, item.read_next_at) == ("read_back", None, begin + limits.LEAVER_REREAD_RETRY)
    assert leaver.case.look_at == item.read_next_at
