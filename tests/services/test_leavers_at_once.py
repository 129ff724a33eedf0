"""Workers that open and settle one leaver's case at one moment: one case, and no event of it numbered twice."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from broker.actors import SYSTEM
from broker.directory.services import deactivate_person
from broker.events.models import Event
from provisioning.leaver.following import read_departures, read_settlements
from provisioning.leaver.models import Case
from provisioning.leaver.settling import settle_case, settle_due
from tests.factories import make_participant, make_person, make_service, make_session
from tests.provisioning.leaver.stage import EMAIL, Leaver, make_leaver, with_grant

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
AtOnce = Callable[[list[Callable[[], Any]]], list[Any]]
MANY = 8


@pytest.fixture
def leaver() -> Leaver:
    """With two sessions, a grant and something owned; the account is closed, and nobody has read of it."""
    one = make_leaver()
    for handle in ("laptop", "phone"):
        make_participant(session=make_session(person=one.person, handle=handle))
    with_grant(one)
    make_service(owner=EMAIL)
    deactivate_person(one.person, reason="left", actor=SYSTEM)
    return one


def numbers_of(case: Case) -> list[int]:
    told = Event.objects.filter(subject_kind="leaver", subject_id=str(case.pk)).order_by("id")
    return [event.details["number"] for event in told]


def test_a_departure_that_many_read_at_once_opens_one_case(leaver: Leaver, at_once: AtOnce) -> None:
    departures = list(Event.objects.filter(type="person.deactivated"))
    assert at_once([partial(read_departures, departures)] * MANY) == [None] * MANY
    case = Case.objects.get()
    assert numbers_of(case) == list(range(1, case.number + 1))
    assert Event.objects.filter(type="leaver.opened").count() == 1
    assert Event.objects.filter(type="session.ended").count() == 2


def test_a_case_that_many_settle_at_once_tells_the_book_once(leaver: Leaver, at_once: AtOnce) -> None:
    read_departures(list(Event.objects.filter(type="person.deactivated")))
    case = Case.objects.get()
    late = case.items.get(kind="ownership").deadline.replace(year=2099)
    answers = at_once([partial(settle_case, case.pk, now=late)] * MANY)
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    case.refresh_from_db()
    assert Event.objects.filter(type="leaver.late").count() == 1
    assert numbers_of(case) == list(range(1, case.number + 1))


def test_settling_and_reading_of_settlements_do_not_wait_for_each_other_for_ever(at_once: AtOnce) -> None:
    for _ in range(MANY):
        deactivate_person(make_person(), reason="left", actor=SYSTEM)
    departures = list(Event.objects.filter(type="person.deactivated"))
    settled = Event(type="delivery.settled", details={"rows": {"1": "0" * 64}})
    now = timezone.now()
    answers = at_once(
        [partial(read_departures, departures)] * 2
        + [partial(settle_due, now=now)] * 2
        + [partial(read_settlements, [settled])] * 2
    )
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert Case.objects.count() == MANY
