"""Many accounts by one request, where the target proved that it can; what a bulk left undone is done, nothing twice."""

from collections import Counter

import pytest
from django.utils import timezone

from broker.delivery.models import Delivery
from provisioning.outbound.models import RemoteAccount, Target
from tests.provisioning.outbound.desk import Desk, effects_on

pytestmark = pytest.mark.django_db(transaction=True)
Row, State = Delivery.State, RemoteAccount.State


@pytest.fixture
def people(desk: Desk):
    """Ten whom an inventory did not show."""
    desk.sync(desk.person("zoe"))
    found = [desk.person(f"person{number}") for number in range(10)]
    desk.sync(*found, carried=False)
    RemoteAccount.objects.filter(person__in=found).update(state=State.ABSENT, read_at=timezone.now())
    return found


def posts(desk: Desk) -> list[str]:
    return [one["url"].rpartition("/")[2] for one in desk.there.requests() if one["method"] == "POST"]


def states(people) -> set[str]:
    return set(RemoteAccount.objects.filter(person__in=people).values_list("state", flat=True))


def created_once(desk: Desk, people) -> bool:
    log = Counter((one.get("document") or {}).get("externalId") for one in effects_on(desk.there, people))
    return all(log[str(person.pk)] == 1 for person in people)


def test_ten_accounts_are_made_by_one_request(desk: Desk, people):
    before = posts(desk).count("Bulk")
    desk.carry()
    assert posts(desk).count("Bulk") == before + 1
    assert states(people) == {State.PRESENT}
    assert {desk.delivery(one).state for one in people} == {Row.CONFIRMED}
    assert len(desk.users()) == 11
    assert {desk.account(one).remote_id for one in people} <= {one["id"] for one in desk.users()}
    assert desk.sync(*people) == 0


def test_a_bulk_that_died_after_six_is_finished_without_repeating_the_six(desk: Desk, people):
    desk.there.fault("bulk_dies", after=6, times=1)
    desk.carry()
    assert len(desk.users()) == 7
    RemoteAccount.objects.update(begun_at=None)
    for _ in range(3):
        desk.hurry()
    assert states(people) == {State.PRESENT}
    assert created_once(desk, people)
    assert len(desk.users()) == 11


def test_one_whose_name_is_taken_is_adopted_and_the_others_are_made(desk: Desk, people):
    desk.there.act("create", document={"userName": "person3", "active": True})
    desk.carry()
    assert len(desk.users()) == 11
    assert RemoteAccount.objects.get(was_adopted=True).person == people[3]
    assert desk.user(people[3])["userName"] == "person3"


def test_one_whose_name_another_system_has_is_a_dead_letter_and_the_others_are_made(desk: Desk, people):
    desk.there.act("create", document={"userName": "person3", "externalId": "legacy", "active": True})
    desk.carry()
    assert len(desk.users()) == 11
    assert (desk.delivery(people[3]).state, desk.delivery(people[3]).reason) == ("dead", "target.foreign")
    assert not RemoteAccount.objects.filter(was_adopted=True).exists()


def test_a_target_that_refuses_a_bulk_of_its_own_offering_gets_single_requests(desk: Desk, people):
    desk.there.fault("answer", path="/Bulk", status=413)
    desk.carry()
    assert states(people) == {State.PRESENT}
    assert len(desk.users()) == 11


def test_bulks_are_as_small_as_the_target_asks(there, db):
    there.change(max_operations=3)
    desk = Desk(there)
    desk.sync(desk.person("zoe"))
    assert Target.objects.get().capabilities["bulk_operations"] == 3
    people = [desk.person(f"person{number}") for number in range(7)]
    desk.sync(*people, carried=False)
    RemoteAccount.objects.filter(person__in=people).update(state=State.ABSENT, read_at=timezone.now())
    before = posts(desk).count("Bulk")
    desk.carry()
    assert posts(desk).count("Bulk") == before + 3
    assert states(people) == {State.PRESENT}


def test_a_target_without_bulk_is_never_asked_for_one(there, db):
    there.change(no_bulk=True)
    desk = Desk(there)
    people = [desk.person(f"person{number}") for number in range(3)]
    desk.sync(*people, carried=False)
    RemoteAccount.objects.filter(person__in=people).update(state=State.ABSENT, read_at=timezone.now())
    desk.carry()
    assert states(people) == {State.PRESENT}
    assert "Bulk" not in posts(desk)
