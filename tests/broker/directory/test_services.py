"""What is written of a person, and whose an identifier is."""

import pytest
from django.utils import timezone

from broker.actors import SYSTEM
from broker.directory.models import Identifier
from broker.directory.services import deactivate_person, reactivate_person, set_groups, update_person
from broker.errors import BrokerError
from broker.events.models import Event
from tests.factories import make_identity_provider, make_person

pytestmark = pytest.mark.django_db


def write(person, **claims):
    values = {name: value if isinstance(value, tuple) else (value,) for name, value in claims.items()}
    return update_person(person, values, source="acme-idp", actor=SYSTEM)


def test_what_changed_is_written_and_named_without_its_value():
    person = make_person()
    assert sorted(write(person, name="Alice Berg", email="a@acme.example", department="R&D")) == [
        "department",
        "email",
        "name",
    ]
    person.refresh_from_db()
    assert (person.name, person.claims) == ("Alice Berg", {"department": ["R&D"]})
    event = Event.objects.get(type="person.changed")
    assert event.details == {"changed": ["department", "email", "name"], "source": "acme-idp"}


def test_an_equal_write_changes_and_records_nothing():
    person = make_person()
    write(person, name="Alice", email="a@acme.example", department="R&D")
    assert write(person, name="Alice", email="a@acme.example", department="R&D") == []
    assert Event.objects.filter(type="person.changed").count() == 1


def test_what_is_not_said_stays():
    person = make_person(claims={"department": ["R&D"]})
    write(person, name="Alice Berg")
    person.refresh_from_db()
    assert person.claims == {"department": ["R&D"]}


@pytest.mark.parametrize("lookalike", ["a@acme.example", "A@ACME.EXAMPLE", "ａ@acme.example"])
def test_an_identifier_is_one_persons_at_a_time(lookalike):
    write(make_person(), email="a@acme.example")
    with pytest.raises(BrokerError) as refused:
        write(make_person(), email=lookalike)
    assert refused.value.code == "authority.identifier_taken"
    assert Identifier.objects.count() == 1


def test_a_changed_identifier_frees_the_old_one():
    person = make_person()
    write(person, email="a@acme.example")
    write(person, email="b@acme.example")
    write(make_person(), email="a@acme.example")
    assert Identifier.objects.count() == 2


def test_groups_are_set_per_identity_provider():
    person = make_person()
    first, second = make_identity_provider(), make_identity_provider()
    now = timezone.now()
    assert set_groups(person, ["a", "b"], identity_provider=first, now=now)
    assert set_groups(person, ["x"], identity_provider=second, now=now)
    assert not set_groups(person, ["b", "a"], identity_provider=first, now=now)
    assert set_groups(person, ["b"], identity_provider=first, now=now)
    assert sorted(person.groups.values_list("name", flat=True)) == ["b", "x"]


def test_closing_and_opening_an_account_is_recorded_once_each():
    person = make_person()
    for _ in range(2):
        assert not deactivate_person(person, reason="left", actor=SYSTEM).is_active
    for _ in range(2):
        assert reactivate_person(person, reason="back", actor=SYSTEM).is_active
    types = list(Event.objects.order_by("id").values_list("type", flat=True))
    assert types == ["person.deactivated", "person.reactivated"]
