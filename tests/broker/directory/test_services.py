"""What is written of a person, and whose an identifier is."""

import pytest
from django.utils import timezone

from broker.actors import SYSTEM
from broker.directory.models import Conflict, Identifier
from broker.directory.services import (
    deactivate_person,
    reactivate_person,
    set_groups,
    write_login,
)
from broker.errors import BrokerError
from broker.events.models import Event
from broker.registry.models import IdentityProvider
from tests.broker.directory.sources import HR, fresh, say
from tests.factories import make_identity_provider, make_person

pytestmark = pytest.mark.django_db


def write(person, **claims):
    values = {name: value if isinstance(value, tuple) else (value,) for name, value in claims.items()}
    provider = IdentityProvider(slug="acme-idp")
    return [*write_login(person, values, identity_provider=provider, evidence="trace:1", actor=SYSTEM).changed]


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
    told = {"source": "idp:acme-idp", "evidence": "trace:1"}
    assert event.details == {"changed": ["department", "email", "name"]} | told


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
    assert set_groups(person, ["a", "b"], identity_provider=first, actor=SYSTEM)
    assert set_groups(person, ["x"], identity_provider=second, actor=SYSTEM)
    assert not set_groups(person, ["b", "a"], identity_provider=first, actor=SYSTEM)
    assert set_groups(person, ["b"], identity_provider=first, actor=SYSTEM)
    assert sorted(person.groups.values_list("name", flat=True)) == ["b", "x"]


def test_a_change_of_groups_is_recorded_without_their_names():
    person, identity_provider = make_person(), make_identity_provider()
    for names in (["admins"], ["admins"], []):
        set_groups(person, names, identity_provider=identity_provider, actor=SYSTEM)
    details = [event.details for event in Event.objects.filter(type="person.changed", subject_id=str(person.pk))]
    assert details == [{"changed": ["groups"], "source": f"idp:{identity_provider.slug}"}] * 2


def test_a_claim_that_never_held_anything_is_not_written_down_as_empty():
    person = make_person(claims={"roles": ["admin"]})
    assert write(person, roles=(), entitlement=()) == ["roles"]
    assert person.claims == {"roles": []}


def test_closing_and_opening_an_account_is_recorded_once_each():
    person = make_person()
    for _ in range(2):
        assert not deactivate_person(person, reason="left", actor=SYSTEM).is_active
    for _ in range(2):
        assert reactivate_person(person, reason="back", actor=SYSTEM).is_active
    types = list(Event.objects.order_by("id").values_list("type", flat=True))
    assert types == ["person.deactivated", "person.reactivated"]


def test_a_logins_values_and_groups_are_told_in_one_event():
    person, provider = make_person(), make_identity_provider()
    claims = {"title": ("Engineer",), "groups": ("staff",)}
    for _ in range(2):
        write_login(person, claims, identity_provider=provider, evidence="trace:1", actor=SYSTEM)
    (event,) = Event.objects.filter(type="person.changed")
    assert event.details["changed"] == ["groups", "title"]
    write_login(person, claims | {"groups": ()}, identity_provider=provider, evidence="trace:2", actor=SYSTEM)
    assert Event.objects.filter(type="person.changed").latest("id").details["changed"] == ["groups"]
    assert not person.groups.exists()


def test_a_login_says_nothing_of_whether_the_account_is_open():
    person = make_person()
    write(person, active=("no",), name=(), email=())
    assert fresh(person).provenance == {}
    assert fresh(person).is_active


def test_a_login_below_hr_is_let_in_and_leaves_a_conflict():
    person = make_person()
    say(HR, person, title="Engineer", email="a@acme.example")
    assert write(person, title="Wizard", email="b@acme.example") == []
    assert fresh(person).held_identifiers == {"email": "a@acme.example"}
    assert sorted(Conflict.objects.values_list("attribute", flat=True)) == ["email", "title"]


def test_a_retired_identity_providers_groups_are_not_those_of_its_successor():
    person, provider = make_person(), make_identity_provider(slug="acme")
    set_groups(person, ["staff"], identity_provider=provider, actor=SYSTEM)
    type(provider).objects.update(retired_at=timezone.now())
    successor = make_identity_provider(slug="acme", organisation=provider.organisation)
    assert set_groups(fresh(person), ["staff"], identity_provider=successor, actor=SYSTEM)
    assert person.groups.count() == 2
