"""Console accounts: who is made, reset, changed; and what is refused."""

import re

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import authenticate
from django.db import IntegrityError, transaction

from broker.actors import SYSTEM, Actor, ActorKind
from broker.console import services
from broker.console.errors import OperatorRefused
from broker.console.models import Operator
from broker.events.models import Event
from tests.factories import make_person

pytestmark = pytest.mark.django_db
ADA = Actor(ActorKind.OPERATOR, "ada@acme.example")


def last_event() -> Event:
    return Event.objects.first()


def test_a_new_operator_gets_a_one_time_password_that_must_be_changed():
    operator, password = services.create_operator(
        " Ada@Acme.example ", name="Ada", role=Operator.Role.OPERATOR, actor=SYSTEM
    )
    assert operator.email == "ada@acme.example"
    assert re.fullmatch(r"([2-9a-z]{5}-){3}[2-9a-z]{5}", password)
    assert operator.check_password(password)
    assert operator.must_change_password
    assert (last_event().type, last_event().subject_id) == ("operator.created", str(operator.pk))


def test_the_book_holds_neither_password_nor_address_of_a_new_operator():
    operator, password = services.create_operator("ada@acme.example", name="Ada", role="viewer", actor=SYSTEM)
    services.reset_operator(operator, actor=SYSTEM)
    written = str(list(Event.objects.values()))
    assert password not in written
    assert "ada@acme.example" not in written


def test_one_time_passwords_differ():
    assert len({services.make_one_time_password() for _ in range(200)}) == 200


def test_a_second_account_for_an_address_is_refused_however_it_is_spelled():
    services.create_operator("ada@acme.example", name="Ada", role="viewer", actor=SYSTEM)
    with pytest.raises(OperatorRefused):
        services.create_operator("ADA@acme.example", name="Ada", role="operator", actor=SYSTEM)
    assert Operator.objects.count() == 1


def test_the_database_refuses_an_address_in_upper_case(make_operator):
    with pytest.raises(IntegrityError), transaction.atomic():
        make_operator("Ada@acme.example")


def test_a_reset_ends_the_old_password_and_the_lockout(make_operator, sign_in):
    operator = make_operator()
    for _ in range(5):
        sign_in(password="wrong")
    assert AccessAttempt.objects.exists()
    password = services.reset_operator(operator, actor=SYSTEM)
    operator.refresh_from_db()
    assert operator.check_password(password)
    assert operator.must_change_password
    assert not AccessAttempt.objects.exists()
    assert last_event().type == "operator.reset"
    assert sign_in(password=password).status_code == 302


def test_a_reset_ends_the_console_sessions_of_the_account(console):
    assert console.get("/admin/").status_code == 200
    services.reset_operator(Operator.objects.get(), actor=SYSTEM)
    assert console.get("/admin/").status_code == 302


def test_a_reset_does_not_open_a_closed_account(make_operator, sign_in):
    operator = make_operator(is_active=False)
    password = services.reset_operator(operator, actor=SYSTEM)
    operator.refresh_from_db()
    assert not operator.is_active
    assert sign_in(password=password).status_code == 200


def test_a_change_is_an_event_with_the_names_of_what_changed(make_operator):
    make_operator()
    bob = make_operator("bob@acme.example", role="viewer")
    services.change_operator(bob, actor=ADA, role="operator", name="Robert", is_active=True)
    event = last_event()
    assert event.type == "operator.changed"
    assert event.details == {"changed": ["name", "role"], "role_before": "viewer", "role_after": "operator"}
    assert "Robert" not in str(event.details)


def test_no_change_is_no_event(make_operator):
    operator = make_operator()
    services.change_operator(operator, actor=SYSTEM, name=operator.name, role=operator.role)
    assert not Event.objects.filter(type="operator.changed").exists()


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"is_active": False}])
def test_operators_can_neither_demote_nor_close_themselves(make_operator, change):
    make_operator("bob@acme.example")
    ada = make_operator()
    with pytest.raises(OperatorRefused, match="your own"):
        services.change_operator(ada, actor=ADA, **change)
    ada.refresh_from_db()
    assert ada.may_change_things


def test_operators_cannot_tie_themselves_to_a_closed_person(make_operator):
    make_operator("bob@acme.example")
    with pytest.raises(OperatorRefused, match="your own"):
        services.change_operator(make_operator(), actor=ADA, person=make_person(is_active=False))


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"is_active": False}])
def test_the_last_operator_can_be_neither_demoted_nor_closed(make_operator, change):
    ada = make_operator()
    make_operator("vic@acme.example", role="viewer")
    make_operator("old@acme.example", is_active=False)
    make_operator("gone@acme.example", person=make_person(is_active=False))
    with pytest.raises(OperatorRefused, match="last active operator"):
        services.change_operator(ada, actor=SYSTEM, **change)


@pytest.mark.parametrize("fields", [{"role": "viewer"}, {"is_active": False}])
def test_an_operator_who_was_demoted_meanwhile_changes_nobody(make_operator, fields):
    make_operator(**fields)
    make_operator("bob@acme.example")
    eve = make_operator("eve@acme.example", role="viewer")
    with pytest.raises(OperatorRefused, match="any more"):
        services.change_operator(eve, actor=ADA, role="operator")


def test_one_of_two_operators_can_be_closed_by_the_other(make_operator):
    make_operator()
    bob = make_operator("bob@acme.example")
    assert not services.change_operator(bob, actor=ADA, is_active=False).is_active


def test_what_is_not_changeable_is_our_own_mistake(make_operator):
    with pytest.raises(ValueError, match="email"):
        services.change_operator(make_operator(), actor=SYSTEM, email="eve@acme.example")


def test_the_backend_refuses_who_may_not_enter(make_operator, rf):
    make_operator("old@acme.example", is_active=False)
    make_operator("gone@acme.example", person=make_person(is_active=False))
    make_operator("here@acme.example", person=make_person())
    request = rf.post("/admin/login/")

    def enters(email: str) -> bool:
        return authenticate(request, username=email, password="correct-horse-battery") is not None

    assert not enters("old@acme.example")
    assert not enters("gone@acme.example")
    assert enters("here@acme.example")
    assert enters(" HERE@acme.example")
