"""What operators do with keys: the command, the task, the console, health and doctor."""

import json
from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.console.models import Operator
from broker.events.models import Event
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
LIST = "/admin/keys/signingkey/"


@pytest.fixture
def console(client):
    """`console(role)`: a browser in which an operator of this role is signed in."""

    def sign_in(role):
        operator = Operator(
            email=f"{role}@acme.example", name="x", role=role, must_change_password=False, created_at=timezone.now()
        )
        operator.set_password("correct-horse-battery")
        operator.save()
        client.force_login(operator, backend="broker.console.backends.OperatorBackend")
        return client

    return sign_in


def announce_in(browser):
    chosen = list(SigningKey.objects.filter(use=Use.TOKEN).values_list("pk", flat=True))
    return browser.post(LIST, {"action": "announce_successors", "_selected_action": chosen}, follow=True)


def test_an_operator_announces_successors_in_the_console(keys, console):
    page = announce_in(console("operator")).content.decode()
    announced = SigningKey.objects.filter(state=State.ANNOUNCED)
    assert sorted(announced.values_list("use", "algorithm")) == [("token", "ES256"), ("token", "RS256")]
    for key in announced:
        assert f"{key.kid} is announced and signs from 2026-03-02 12:00 UTC" in page
        event = Event.objects.filter(subject_id=key.kid).get()
        assert (event.actor_kind, event.actor_id) == ("operator", "operator@acme.example")


def test_a_viewer_sees_keys_and_announces_none(keys, console):
    browser = console("viewer")
    assert keys[0].kid in browser.get(LIST).content.decode()
    announce_in(browser)
    assert SigningKey.objects.count() == 4


@pytest.mark.parametrize("role", list(Operator.Role))
def test_nobody_adds_changes_or_deletes_a_key_by_hand(role, keys, console):
    browser, before = console(role), list(SigningKey.objects.order_by("pk").values())
    assert browser.get(f"{LIST}add/").status_code == 403
    assert browser.post(f"{LIST}{keys[0].pk}/change/", {"state": "retired"}).status_code == 403
    assert browser.post(f"{LIST}{keys[0].pk}/delete/", {"post": "yes"}).status_code == 403
    browser.post(LIST, {"action": "delete_selected", "_selected_action": [keys[0].pk], "post": "yes"})
    assert list(SigningKey.objects.order_by("pk").values()) == before


def test_the_private_side_is_on_no_page(keys, console):
    browser = console("operator")
    for key in keys:
        page = browser.get(f"{LIST}{key.pk}/change/").content.decode()
        assert key.kid in page
        assert key.private_key_sealed[:40] not in page
        assert key.private_key_sealed[:40] not in browser.get(LIST).content.decode()


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
