"""The commands about console accounts, the doctor's question, and what is forgotten."""

import json
from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session as ConsoleSession
from django.core.management import CommandError, call_command
from django.utils import timezone

from broker import limits
from broker.console.doctor import check_operators
from broker.console.models import Operator
from broker.console.tasks import forget
from tests.factories import make_person

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_create_operator_prints_a_password_that_works():
    answer = json.loads(run("create_operator", "Ada@acme.example", "--name", "Ada", "--role", "operator", "--json"))
    operator = Operator.objects.get(email="ada@acme.example")
    assert answer["email"] == "ada@acme.example"
    assert operator.role == "operator"
    assert operator.check_password(answer["one_time_password"])


def test_create_operator_makes_viewers_unless_told_otherwise():
    run("create_operator", "vic@acme.example", "--name", "Vic")
    assert Operator.objects.get().role == "viewer"


@pytest.mark.parametrize("email", ["ada@acme.example", "not an address", ""])
def test_create_operator_refuses_what_it_cannot_make(make_operator, email):
    make_operator()
    with pytest.raises(CommandError):
        run("create_operator", email, "--name", "Ada")
    assert Operator.objects.count() == 1


def test_reset_operator_prints_a_password_that_works(make_operator):
    operator = make_operator()
    answer = json.loads(run("reset_operator", "ADA@acme.example", "--json"))
    operator.refresh_from_db()
    assert operator.check_password(answer["one_time_password"])
    assert answer["may_enter"]


def test_reset_operator_says_when_the_password_will_not_open(make_operator):
    make_operator(is_active=False)
    assert "does not open it" in run("reset_operator", "ada@acme.example")


def test_reset_operator_names_no_stranger():
    with pytest.raises(CommandError, match="create_operator"):
        run("reset_operator", "eve@acme.example")


@pytest.mark.parametrize(
    ("accounts", "level"),
    [
        ([], "fault"),
        ([{"role": "viewer"}], "fault"),
        ([{"is_active": False}, {"is_active": False}], "fault"),
        ([{}], "warning"),
        ([{}, {"role": "viewer"}, {"is_active": False}], "warning"),
        ([{}, {}], "ok"),
    ],
)
def test_the_doctor_wants_two_operators(make_operator, accounts, level):
    for number, fields in enumerate(accounts):
        make_operator(f"op{number}@acme.example", **fields)
    assert [finding.level for finding in check_operators()] == [level]


def test_an_operator_tied_to_a_closed_person_does_not_count(make_operator):
    make_operator()
    make_operator("gone@acme.example", person=make_person(is_active=False))
    assert [finding.level for finding in check_operators()] == ["warning"]


def test_ended_sessions_and_old_failures_are_forgotten(make_operator, sign_in, client):
    make_operator()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        sign_in(password="wrong", REMOTE_ADDR="192.0.2.7")
        sign_in()
        forget()
        assert (AccessAttempt.objects.count(), ConsoleSession.objects.count()) == (1, 1)
        clock.shift(limits.OPERATOR_SESSION_ABSOLUTE + timedelta(minutes=1))
        forget()
        assert (AccessAttempt.objects.count(), ConsoleSession.objects.count()) == (0, 0)
