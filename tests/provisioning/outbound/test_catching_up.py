"""A target that is switched on again: whoever changed meanwhile is asked for at once, in parts, by the queue."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from broker.actors import SYSTEM, Actor, ActorKind
from broker.delivery.models import Delivery
from broker.delivery.services import write_off
from broker.directory.groups import add_members, create_group
from broker.directory.models import Person
from broker.directory.services import deactivate_person
from broker.events.models import Event
from provisioning.outbound import catching_up
from provisioning.outbound.models import CatchUp, Hold, RemoteAccount
from provisioning.outbound.outdated import unsettled_people
from provisioning.outbound.registering import change_target, retire_target
from provisioning.outbound.services import is_settled
from provisioning.outbound.tasks import carry_catch_up, catch_up_unfinished
from tests.broker.console.conftest import console, make_operator, sign_in
from tests.broker.directory.sources import HR
from tests.provisioning.outbound.desk import Desk

__all__ = ["console", "make_operator", "sign_in"]
pytestmark = pytest.mark.django_db(transaction=True)
ADA = Actor(ActorKind.OPERATOR, "ada@acme.example", trace_id="AAAAA-BBBBB")


def rename(person: Person, name: str) -> None:
    person = Person.objects.get(pk=person.pk)
    person.name, person.version = name, person.version + 1
    person.save()


def switch(desk: Desk, *, on: bool) -> None:
    desk.target = change_target(desk.target, actor=ADA, enabled=on)


def catch_up(desk: Desk) -> CatchUp:
    """As the worker does, to the end."""
    assert catch_up_unfinished() == 1
    carry_catch_up(str(CatchUp.objects.get(target=desk.target).pk))
    return CatchUp.objects.get(target=desk.target)


@pytest.fixture
def people(desk: Desk) -> list[Person]:
    found = [desk.person(f"p{number}") for number in range(8)]
    Person.objects.exclude(pk__in=[one.pk for one in found]).delete()  # who made the organisation, without a name
    desk.sync(*found)
    return found


def test_a_mover_is_asked_for_as_soon_as_the_target_is_switched_on(desk: Desk, people: list[Person]):
    switch(desk, on=False)
    rename(people[0], "Alice Moved")
    before = Delivery.objects.count()
    switch(desk, on=True)
    assert Delivery.objects.count() == before  # not in the request
    found = catch_up(desk)
    desk.carry()
    assert desk.user(people[0])["displayName"] == "Alice Moved"
    assert (found.stage, found.people, found.enqueued, found.asked_by) == ("ended", 1, 1, "operator:ada@acme.example")
    assert (desk.delivery(people[0]).reference, desk.delivery(people[0]).trace_id) == (found.reference, "AAAAA-BBBBB")
    told = Event.objects.get(type="target.caught_up").details
    assert (told["people"], told["deliveries"]) == (1, 1)


def test_who_came_and_who_left_meanwhile_are_asked_for_too(desk: Desk, people: list[Person]):
    switch(desk, on=False)
    zoe = desk.person("zoe")
    deactivate_person(people[0], reason="left", actor=SYSTEM)
    switch(desk, on=True)
    assert catch_up(desk).enqueued == 2
    desk.carry()
    assert desk.user(people[0])["active"] is False
    assert desk.user(zoe)["userName"] == "zoe"


def test_who_did_not_change_is_not_sent_again(desk: Desk, people: list[Person]):
    switch(desk, on=False)
    switch(desk, on=True)
    found = catch_up(desk)
    assert (found.stage, found.people, found.enqueued) == ("ended", 0, 0)


def test_closings_of_meanwhile_wait_for_a_second_operator_as_others_do(desk: Desk, people: list[Person]):
    desk.target = change_target(desk.target, actor=ADA, breaker_count=0)
    switch(desk, on=False)
    for person in people:
        deactivate_person(person, reason="an empty file", actor=SYSTEM)
    switch(desk, on=True)
    catch_up(desk)
    desk.carry()
    assert all(user["active"] for user in desk.users())
    assert Hold.objects.get().count == len(people)


def test_what_an_operator_gave_up_counts_for_the_breaker_when_it_is_asked_for_anew(desk: Desk, people: list[Person]):
    desk.target = change_target(desk.target, actor=ADA, breaker_count=0)
    for person in people:
        deactivate_person(person, reason="left", actor=SYSTEM)
    desk.sync(*people, carried=False)
    for row in Delivery.objects.filter(settled_at=None):
        write_off(row, reason="the file was wrong", actor=ADA)
    switch(desk, on=False)
    switch(desk, on=True)
    catch_up(desk)
    desk.carry()
    assert all(user["active"] for user in desk.users())
    assert Hold.objects.get().count == len(people)


def test_a_target_that_holds_no_account_is_not_filled_by_a_switch(desk: Desk):
    desk.person("alice")
    switch(desk, on=False)
    switch(desk, on=True)
    assert catch_up_unfinished() == 0
    assert not RemoteAccount.objects.exists()


@pytest.mark.parametrize("ending", ["switched off", "retired"])
def test_it_ends_with_the_target(desk: Desk, people: list[Person], ending: str):
    rename(people[0], "Alice Moved")
    switch(desk, on=False)
    switch(desk, on=True)
    if ending == "retired":
        retire_target(desk.target, actor=ADA)
    else:
        switch(desk, on=False)
    found = catch_up(desk)
    assert (found.stage, found.code, found.enqueued) == ("ended", "target.not_in_use", 0)
    assert Event.objects.get(type="target.caught_up").code == "target.not_in_use"


def test_it_goes_on_where_its_process_was_killed(desk: Desk, people: list[Person], monkeypatch):
    monkeypatch.setattr(catching_up.limits, "TARGET_CHUNK", 3)
    switch(desk, on=False)
    for person in people:
        rename(person, f"{person.name} Moved")
    switch(desk, on=True)
    found = CatchUp.objects.get()
    assert catching_up.carry_on(found.pk, until=timezone.now() - timedelta(seconds=1))  # one chunk
    found.refresh_from_db()
    assert (found.people, found.stage) == (3, "known")
    assert catch_up(desk).people == len(people)
    desk.carry()
    assert {user["displayName"] for user in desk.users()} == {f"P{number} Moved" for number in range(8)}


def test_who_lost_the_place_writes_nothing(desk: Desk, people: list[Person], monkeypatch):
    switch(desk, on=False)
    rename(people[0], "Alice Moved")
    switch(desk, on=True)
    follow = catching_up.follow_people

    def overtaken(*args, **options):
        CatchUp.objects.update(asked_at=timezone.now())  # switched on anew meanwhile
        return follow(*args, **options)

    monkeypatch.setattr(catching_up, "follow_people", overtaken)
    before = Delivery.objects.count()
    assert not catching_up.carry_on(CatchUp.objects.get().pk, until=timezone.now())
    assert Delivery.objects.count() == before
    assert CatchUp.objects.get().people == 0


def test_groups_are_brought_in_order_too(there, db):
    desk = Desk(there, group_strategy="memberships", groups=["engineers"])
    ada, bob = desk.person("ada"), desk.person("bob")
    group = create_group("engineers", source=HR, actor=SYSTEM)
    desk.sync(ada, bob)
    switch(desk, on=False)
    add_members(group, [ada.pk], actor=SYSTEM)
    switch(desk, on=True)
    catch_up(desk)
    desk.hurry()
    [seen] = there.groups()
    assert [one["value"] for one in seen["members"]] == [desk.account(ada).remote_id]


def test_what_the_database_finds_unsettled_is_what_the_service_calls_so(desk: Desk, people: list[Person]):
    changes = [
        {"read_active": None},
        {"read_active": None, "read_digest": ""},
        {"state": "absent"},
        {"read_digest": "other"},
        {"aim": "disabled"},
        {"aim": "gone", "state": "deleted"},
        {"aim": "left"},
        {"aim": "disabled", "state": "disabled", "read_at": None},
    ]
    for person, change in zip(people, changes, strict=True):
        RemoteAccount.objects.filter(person=person).update(**change)
    # What should be there follows from the people alone: as if it had been worked out otherwise.
    unsettled = {one.person_id for one in RemoteAccount.objects.all() if not is_settled(one)}
    found = set(unsettled_people(desk.target).values_list("pk", flat=True))
    aims = {one.pk for one, change in zip(people, changes, strict=True) if "aim" in change}
    assert found - aims == unsettled - aims
    assert unsettled <= found


def test_the_console_shows_how_far_it_is(desk: Desk, people: list[Person], console):
    page = reverse("admin:outbound_target_change", args=[desk.target.pk])
    assert "never needed" in console.get(page).content.decode()
    switch(desk, on=False)
    rename(people[0], "Alice Moved")
    switch(desk, on=True)
    assert "looking at accounts that we know; people looked at: 0" in console.get(page).content.decode()
    catch_up(desk)
    shown = console.get(page).content.decode()
    assert "caught up with; people looked at: 1" in shown
    assert "open: 1," in " ".join(shown.split())
    desk.carry()
    assert "confirmed: 1, open: 0" in " ".join(console.get(page).content.decode().split())
