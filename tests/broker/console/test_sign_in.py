"""The console's entrance: who gets in, what a refusal tells, and the lockout."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.sessions.models import Session as ConsoleSession
from django.test import Client
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.console.models import Operator
from broker.console.services import reset_operator
from broker.events.models import Event
from tests.factories import make_person

pytestmark = pytest.mark.django_db
REFUSAL = "This e-mail address and password do not open the console."


def event_types() -> list[str]:
    return list(Event.objects.order_by("id").values_list("type", flat=True))


def test_an_operator_signs_in_and_the_book_knows(make_operator, sign_in, client):
    operator = make_operator()
    answer = sign_in(REMOTE_ADDR="192.0.2.7")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    assert client.get("/admin/").status_code == 200
    event = Event.objects.get(type="operator.signed_in")
    assert (event.actor_kind, event.actor_id, event.address) == ("operator", "ada@acme.example", "192.0.2.7")
    assert (event.subject_kind, event.subject_id) == ("operator", str(operator.pk))
    assert event.trace_id == answer["Countersign-Trace"]


def test_the_session_gets_a_new_key_at_sign_in(make_operator, sign_in, client):
    make_operator()
    session = client.session
    session["planted"] = True
    session.save()
    client.cookies["countersign-console"] = session.session_key
    sign_in()
    assert client.session.session_key != session.session_key
    assert not ConsoleSession.objects.filter(pk=session.session_key).exists()


@pytest.mark.parametrize(
    ("fields", "password", "reason"),
    [
        ({}, "wrong-horse-battery", "password"),
        ({"is_active": False}, "correct-horse-battery", "closed"),
        ({"email": "eve@acme.example"}, "correct-horse-battery", "unknown"),
    ],
)
def test_every_refusal_looks_the_same_and_the_book_knows_the_reason(make_operator, sign_in, fields, password, reason):
    make_operator(**fields)
    answer = sign_in(password=password)
    assert answer.status_code == 200
    assert REFUSAL in answer.content.decode()
    event = Event.objects.get(type="operator.refused")
    assert event.details == {"reason": reason}
    assert not ConsoleSession.objects.exists()


def test_an_operator_tied_to_a_closed_person_does_not_get_in(make_operator, sign_in):
    make_operator(person=make_person(is_active=False))
    answer = sign_in()
    assert REFUSAL in answer.content.decode()
    assert Event.objects.get(type="operator.refused").details == {"reason": "closed"}


def test_a_password_typed_as_address_is_written_nowhere(sign_in):
    sign_in(email="my secret password", password="x")
    assert "my secret password" not in str(list(Event.objects.values()))


@pytest.mark.parametrize(("email", "password"), [("", "x"), ("ada@acme.example", ""), ("a\0b@acme.example", "x")])
def test_an_incomplete_form_is_no_attempt(sign_in, email, password):
    answer = sign_in(email=email, password=password)
    assert answer.status_code == 200
    assert not Event.objects.exists()


def test_the_fifth_wrong_password_locks_and_even_the_right_one_is_refused(make_operator, sign_in):
    make_operator()
    answers = [sign_in(password="wrong") for _ in range(limits.OPERATOR_PASSWORD_FAILURES)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert "Locked after too many wrong passwords" in answers[-1].content.decode()
    assert answers[-1]["Retry-After"] == "900"
    right = sign_in()
    assert right.status_code == 429
    assert event_types() == ["operator.refused"] * 4 + ["operator.locked", "operator.refused"]
    assert Event.objects.first().details == {"reason": "locked"}


def test_other_spellings_of_the_address_give_no_further_tries(make_operator, sign_in):
    make_operator()
    spellings = ["ada@acme.example", "Ada@acme.example", "ADA@acme.example", " ada@Acme.example", "ada@acme.EXAMPLE "]
    for spelling in spellings:
        answer = sign_in(email=spelling, password="wrong")
    assert answer.status_code == 429


def test_another_browser_at_the_same_place_gives_no_further_tries(make_operator, sign_in):
    make_operator()
    for number in range(limits.OPERATOR_PASSWORD_FAILURES):
        answer = sign_in(password="wrong", browser=Client(), HTTP_USER_AGENT=f"browser {number}")
    assert answer.status_code == 429


def test_who_guesses_elsewhere_locks_nobody_out_here(make_operator, sign_in):
    make_operator()
    for _ in range(limits.OPERATOR_PASSWORD_FAILURES):
        sign_in(password="wrong", REMOTE_ADDR="203.0.113.9")
    assert sign_in(REMOTE_ADDR="192.0.2.7").status_code == 302


def test_a_lockout_ends_after_its_time_even_when_somebody_goes_on_guessing(make_operator, sign_in):
    make_operator()
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        for _ in range(limits.OPERATOR_PASSWORD_FAILURES):
            sign_in(password="wrong")
        clock.shift(limits.OPERATOR_LOCKOUT - timedelta(seconds=5))
        assert sign_in(password="wrong").status_code == 429
        clock.shift(timedelta(seconds=10))
        assert sign_in().status_code == 302


def test_a_right_password_forgets_earlier_failures(make_operator, sign_in):
    make_operator()
    for _ in range(2):
        for _ in range(limits.OPERATOR_PASSWORD_FAILURES - 1):
            assert sign_in(password="wrong", browser=Client()).status_code == 200
        assert sign_in(browser=Client()).status_code == 302


def test_after_signing_in_nobody_is_led_to_another_site(make_operator, client):
    make_operator()
    form = {"username": "ada@acme.example", "password": "correct-horse-battery", "next": "https://evil.example/"}
    assert client.post("/admin/login/", form)["Location"] == "/admin/"


def test_after_signing_in_an_operator_arrives_where_the_way_led(make_operator, client):
    make_operator()
    page = client.get("/admin/traces/trace/")
    assert page.status_code == 302
    form = {"username": "ada@acme.example", "password": "correct-horse-battery", "next": "/admin/traces/trace/"}
    assert client.post(page["Location"], form)["Location"] == "/admin/traces/trace/"


def test_a_form_of_another_site_signs_nobody_in(make_operator):
    make_operator()
    browser = Client(enforce_csrf_checks=True)
    browser.post("/admin/login/", {"username": "ada@acme.example", "password": "correct-horse-battery"})
    assert not ConsoleSession.objects.exists()


def test_the_one_time_password_opens_only_the_page_that_changes_it(make_operator, sign_in, client):
    password = reset_operator(make_operator(), actor=SYSTEM)
    sign_in(password=password)
    for page in ("/admin/", "/admin/traces/trace/", "/admin/console/operator/", "/admin/search/?s=a"):
        answer = client.get(page)
        assert (answer.status_code, answer["Location"]) == (302, "/admin/password_change/")
    assert client.post("/admin/console/operator/add/", {"email": "eve@acme.example"}).status_code == 302
    assert "one-time password has done its work" in client.get("/admin/password_change/").content.decode()


def test_ones_own_password_replaces_the_one_time_password(make_operator, sign_in, client):
    operator = make_operator()
    password = reset_operator(operator, actor=SYSTEM)
    sign_in(password=password)
    key = client.session.session_key
    form = {"old_password": password, "new_password1": "tr0ub4dor-and-three", "new_password2": "tr0ub4dor-and-three"}
    answer = client.post("/admin/password_change/", form)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    assert client.session.session_key != key
    assert client.get("/admin/").status_code == 200
    operator.refresh_from_db()
    assert operator.check_password("tr0ub4dor-and-three")
    assert Event.objects.first().details == {"changed": ["password"]}


@pytest.mark.parametrize("new", ["", "short", "qwerty123456", "ada@acme.example"])
def test_weak_passwords_are_refused(console, new):
    form = {"old_password": "correct-horse-battery", "new_password1": new, "new_password2": new}
    assert console.post("/admin/password_change/", form).status_code == 200
    assert Operator.objects.get().check_password("correct-horse-battery")


def test_the_old_password_is_refused_as_the_new_one(console):
    same = "correct-horse-battery"
    answer = console.post(
        "/admin/password_change/", {"old_password": same, "new_password1": same, "new_password2": same}
    )
    assert "must be another than the old one" in answer.content.decode()


def test_signing_out_ends_the_session(console):
    answer = console.post("/admin/logout/")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/")
    assert not ConsoleSession.objects.exists()
    assert console.get("/admin/").status_code == 302


def test_a_link_signs_nobody_out(console):
    assert console.get("/admin/logout/").status_code == 405
    assert console.get("/admin/").status_code == 200
