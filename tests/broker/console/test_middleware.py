"""What applies to the console's paths and to no other: session, headers, ends of sessions."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.sessions.models import Session as ConsoleSession
from django.utils import timezone

from broker import limits
from broker.console.models import Operator
from tests.factories import make_person

pytestmark = pytest.mark.django_db


def test_protocol_endpoints_neither_read_nor_write_a_console_session(console, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = console.get("/health/live")
    assert answer.status_code == 200
    assert not answer.cookies
    assert not hasattr(answer.wsgi_request, "session")
    assert not hasattr(answer.wsgi_request, "user")


@pytest.mark.parametrize("path", ["/admin/login/", "/admin/no-such-page/"])
def test_console_pages_have_their_own_policy_and_are_not_stored(client, path):
    answer = client.get(path)
    policy = answer["Content-Security-Policy"]
    assert "'unsafe-eval'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("path", ["/health/live", "/administrator", "/admin"])
def test_other_pages_keep_the_strict_policy(client, path):
    policy = client.get(path)["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def test_the_session_cookie_is_for_http_only(make_operator, sign_in):
    make_operator()
    cookie = sign_in().cookies["countersign-console"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_an_idle_session_ends(make_operator, sign_in, client):
    make_operator()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        sign_in()
        clock.shift(limits.OPERATOR_SESSION_IDLE - timedelta(seconds=1))
        assert client.get("/admin/").status_code == 200
        clock.shift(limits.OPERATOR_SESSION_IDLE - timedelta(seconds=1))
        assert client.get("/admin/").status_code == 200
        clock.shift(limits.OPERATOR_SESSION_IDLE + timedelta(seconds=1))
        assert client.get("/admin/").status_code == 302
        assert not ConsoleSession.objects.exists()


def test_a_session_in_use_ends_at_its_absolute_end(make_operator, sign_in, client):
    make_operator()
    step = limits.OPERATOR_SESSION_IDLE - timedelta(minutes=1)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        sign_in()
        begun = timezone.now()
        while timezone.now() + step - begun < limits.OPERATOR_SESSION_ABSOLUTE:
            clock.shift(step)
            assert client.get("/admin/").status_code == 200
        clock.shift(step)
        assert client.get("/admin/").status_code == 302


def test_a_session_is_written_at_most_once_a_minute(console, django_assert_max_num_queries):
    with time_machine.travel(timezone.now() + timedelta(seconds=10), tick=False):
        before = ConsoleSession.objects.get().session_data
        console.get("/admin/password_change/")
        assert ConsoleSession.objects.get().session_data == before


@pytest.mark.parametrize("close", ["operator", "person"])
def test_a_closed_account_is_out_at_its_next_request(make_operator, sign_in, client, close):
    person = make_person()
    operator = make_operator(person=person)
    sign_in()
    assert client.get("/admin/").status_code == 200
    row = operator if close == "operator" else person
    row.is_active = False
    row.save()
    assert client.get("/admin/").status_code == 302


def test_a_demoted_operator_may_change_nothing_at_the_next_request(console):
    Operator.objects.update(role=Operator.Role.VIEWER)
    assert console.get("/admin/console/operator/add/").status_code == 403
