"""From the book to the targets: who changed is asked for, closings go first, and too many of them wait."""

import pytest
from django.db import transaction

from broker.actors import SYSTEM
from broker.delivery.models import Delivery, Priority
from broker.directory.groups import create_group, set_members
from broker.directory.models import Person
from broker.directory.services import deactivate_person
from broker.directory.sources import Source, SourceKind
from broker.events.catalogue import PERSON_CHANGED
from broker.events.models import Event
from broker.events.reading import read_notices
from broker.events.services import record
from provisioning.outbound.models import RemoteAccount
from provisioning.outbound.reading import read_events
from provisioning.outbound.registering import change_target
from tests.provisioning.outbound.desk import Desk

pytestmark = pytest.mark.django_db(transaction=True)
HR = Source(SourceKind.SCIM, "workday")


def changed(*people: Person) -> None:
    with transaction.atomic():
        record(PERSON_CHANGED, actor=SYSTEM, people=[str(one.pk) for one in people])


def rows(desk: Desk) -> dict[str, Delivery]:
    waiting = Delivery.objects.filter(lane=desk.target.lane, settled_at=None)
    return {row.subject: row for row in waiting}


def test_who_leaves_is_closed_urgently_and_must_be(desk: Desk):
    alice = desk.person("alice")
    desk.sync(alice)
    deactivate_person(alice, reason="left", actor=SYSTEM)
    read_notices()
    row = rows(desk)[f"person:{alice.pk}"]
    assert (row.priority, row.must_arrive, row.hold) == (Priority.URGENT, True, "")
    assert row.cause_event_id == Event.objects.get(type="person.deactivated").pk
    desk.carry()
    assert desk.user(alice)["active"] is False


def test_an_event_that_was_read_twice_asks_once(desk: Desk):
    alice = desk.person("alice")
    changed(alice)
    events = list(Event.objects.filter(type="person.changed"))
    read_events(events)
    read_events(events)
    assert len(rows(desk)) == 1


def test_who_belongs_nowhere_is_asked_for_nowhere(desk: Desk):
    change_target(desk.target, actor=SYSTEM, scope={"groups": ["sales"]})
    changed(desk.person("alice"))
    read_notices()
    assert rows(desk) == {}
    assert not RemoteAccount.objects.exists()


@pytest.mark.parametrize(
    ("scope", "belongs"),
    [
        ({"attributes": {"department": ["Sales"]}}, True),
        ({"attributes": {"department": ["Other", "Sales"]}}, True),
        ({"attributes": {"department": ["sales"]}}, False),
        ({"attributes": {"department": ["Sales"], "cost_center": ["1"]}}, False),
        ({"attributes": {'dep"artment': ["Sales"]}}, None),
        ({"attributes": {"name": ["Alice"]}}, True),
        ({"attributes": {"email": ["alice@acme.example"]}}, True),
        ({"attributes": {"email": ["%"]}}, False),
        ({"everyone": True, "organisations": ["nobody"]}, False),
        ({}, False),
    ],
)
def test_the_scope_is_judged_by_the_database(desk: Desk, scope, belongs):
    alice = desk.person("alice", claims={"department": ["IT", "Sales"]})
    if belongs is None:
        with pytest.raises(ValueError, match="is no claim name"):
            change_target(desk.target, actor=SYSTEM, scope=scope)
        return
    change_target(desk.target, actor=SYSTEM, scope=scope)
    desk.target.refresh_from_db()
    assert desk.sync(alice, carried=False) == int(belongs)


def test_a_mover_out_of_the_scope_is_closed(desk: Desk):
    sales = create_group("sales", source=HR, actor=SYSTEM)
    change_target(desk.target, actor=SYSTEM, scope={"groups": ["scim:workday/sales"]})
    desk.target.refresh_from_db()
    alice = desk.person("alice")
    set_members(sales, [alice.pk], actor=SYSTEM)
    read_notices()
    desk.carry()
    assert desk.user(alice)["active"] is True
    set_members(sales, [], actor=SYSTEM)
    read_notices()
    assert rows(desk)[f"person:{alice.pk}"].priority == Priority.URGENT
    desk.carry()
    assert desk.user(alice)["active"] is False


def test_too_many_closings_wait_for_a_second_operator(desk: Desk):
    people = [desk.person(f"person{number}") for number in range(12)]
    desk.sync(*people)
    Person.objects.filter(pk__in=[one.pk for one in people]).update(is_active=False)
    changed(*people)
    read_notices()
    waiting = rows(desk)
    assert len(waiting) == 12
    assert all(row.hold.startswith(f"breaker:{desk.target.slug}:") for row in waiting.values())
    desk.carry()
    assert all(one["active"] for one in desk.users())


def test_a_change_that_the_mapping_does_not_tell_asks_for_nothing(desk: Desk):
    alice = desk.person("alice")
    desk.sync(alice)
    Person.objects.filter(pk=alice.pk).update(claims={"cost_center": ["4711"]})
    changed(alice)
    read_notices()
    assert rows(desk) == {}
