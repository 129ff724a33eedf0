"""What operators do with keys: the command, the task, the console, health and doctor."""

import json
from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.test import RequestFactory
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.console.models import Operator
from broker.events.models import Event
from broker.http import adopt_trace_id
from broker.keys.doctor import check_keys
from broker.keys.health import check_signing_keys
from broker.keys.models import SigningKey
from broker.keys.ring import ring
from broker.keys.services import NEEDED, announce_key, ensure_keys
from broker.keys.tasks import rotate_keys

from .conftest import NOW

Use, Algorithm, State = SigningKey.Use, SigningKey.Algorithm, SigningKey.State
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def keys(clock):
    return ensure_keys(SYSTEM)


def run(*arguments):
    out = StringIO()
    call_command("rotate_keys", *arguments, stdout=out)
    return out.getvalue()


# --- Command and task -----------------------------------------------------------------------------------------------
def test_the_command_makes_what_is_missing_and_says_so():
    assert run().count("made") == 4
    assert run() == ""


def test_the_command_announces_and_later_activates(keys, clock):
    told = run("--announce", "token/RS256")
    assert "announced token RS256" in told
    assert "signs from 2026-03-02 12:00 UTC" in told
    clock.shift(limits.KEY_ANNOUNCE)
    assert "activated token RS256" in run()


@pytest.mark.parametrize("kind", ["", "token", "token/HS256", "saml_signing/ES256", "x/y", "token/RS256/"])
def test_the_command_refuses_a_kind_that_we_do_not_have(kind, keys):
    if kind:
        with pytest.raises(CommandError, match="must be one of token/RS256"):
            run("--announce", kind)
    assert SigningKey.objects.count() == 4


def test_the_task_moves_keys_on(keys, clock):
    announce_key(Use.TOKEN, algorithm=Algorithm.ES256, now=NOW, actor=SYSTEM)
    assert rotate_keys() == 0
    clock.shift(limits.KEY_ANNOUNCE)
    assert rotate_keys() == 1


# --- Console --------------------------------------------------------------------------------------------------------
def request_of(role):
    request = RequestFactory().post("/admin/keys/signingkey/")
    request.user = Operator(email=f"{role}@acme.example", name="x", role=role, created_at=timezone.now())
    adopt_trace_id(request, "TRACE-00001")
    return request


class Messages(list):
    def add(self, level, message, extra_tags):
        self.append(message)


def test_an_operator_announces_successors_in_the_console(keys):
    shown = admin.site._registry[SigningKey]
    request = request_of(Operator.Role.OPERATOR)
    request._messages = Messages()
    actions = shown.get_actions(request)
    actions["announce_successors"][0](shown, request, SigningKey.objects.filter(use=Use.TOKEN))
    announced = SigningKey.objects.filter(state=State.ANNOUNCED)
    assert sorted(announced.values_list("use", "algorithm")) == [("token", "ES256"), ("token", "RS256")]
    assert len(request._messages) == 2
    event = Event.objects.filter(subject_id=announced[0].kid).get()
    assert (event.actor_kind, event.actor_id) == ("operator", "operator@acme.example")


def test_a_viewer_sees_keys_and_changes_none(keys):
    shown = admin.site._registry[SigningKey]
    request = request_of(Operator.Role.VIEWER)
    assert shown.has_view_permission(request)
    assert "announce_successors" not in shown.get_actions(request)


@pytest.mark.parametrize("role", list(Operator.Role))
def test_nobody_adds_changes_or_deletes_a_key_by_hand(role):
    shown, request = admin.site._registry[SigningKey], request_of(role)
    assert not shown.has_add_permission(request)
    assert not shown.has_change_permission(request)
    assert not shown.has_delete_permission(request)


def test_the_private_side_is_on_no_page(keys):
    shown = admin.site._registry[SigningKey]
    for names in (shown.fields, shown.list_display, shown.search_fields, shown.list_filter):
        assert "private_key_sealed" not in names


# --- Health ---------------------------------------------------------------------------------------------------------
def test_with_all_keys_the_process_is_healthy(keys):
    assert {finding.level for finding in check_signing_keys()} == {"ok"}
    assert len(check_signing_keys()) == len(NEEDED)


@pytest.mark.parametrize(("use", "algorithm"), NEEDED)
def test_a_missing_key_of_any_kind_is_a_fault(use, algorithm, keys):
    SigningKey.objects.filter(use=use, algorithm=algorithm).delete()
    ring.forget()
    faults = [finding for finding in check_signing_keys() if finding.level == "fault"]
    assert [finding.name for finding in faults] == [f"key: {use} {algorithm}"]
    assert faults[0].remedy


def test_keys_that_do_not_open_are_faults(keys, settings):
    settings.BROKER_MASTER_KEYS = {"k9": b"9" * 32}
    ring.forget()
    ring._sides.clear()
    findings = check_signing_keys()
    assert {finding.level for finding in findings} == {"fault"}
    assert "does not open" in findings[0].text


# --- Doctor ---------------------------------------------------------------------------------------------------------
def levels():
    return {finding.name: finding.level for finding in check_keys()}


def test_the_doctor_is_content_with_fresh_keys(keys):
    assert levels() == {"keys: rotation": "ok", "keys: certificates": "ok", "keys: sealed under": "ok"}


def test_the_doctor_sees_that_rotation_does_not_run(keys, clock):
    key = announce_key(Use.TOKEN, algorithm=Algorithm.RS256, now=NOW, actor=SYSTEM)
    clock.shift(limits.KEY_ANNOUNCE + timedelta(hours=3))
    assert levels()["keys: rotation"] == "ok"
    clock.shift(timedelta(seconds=1))
    finding = check_keys()[0]
    assert (finding.level, key.kid in finding.text) == ("fault", True)


def test_the_doctor_warns_before_a_certificate_ends(keys, clock):
    clock.shift(timedelta(days=3650 - 90))
    assert levels()["keys: certificates"] == "ok"
    clock.shift(timedelta(seconds=1))
    finding = check_keys()[1]
    assert finding.level == "warning"
    assert "--announce saml_" in finding.remedy


def test_the_doctor_names_keys_under_an_older_master_key(keys, settings):
    settings.BROKER_MASTER_KEYS = {"k2": b"2" * 32, **settings.BROKER_MASTER_KEYS}
    assert check_keys()[2].level == "warning"
    run()
    assert check_keys()[2].level == "ok"


def test_findings_hold_nothing_secret(keys):
    sealed = SigningKey.objects.values_list("private_key_sealed", flat=True)
    told = json.dumps([f"{finding.text} {finding.remedy}" for finding in [*check_keys(), *check_signing_keys()]])
    assert not any(value in told for value in sealed)
