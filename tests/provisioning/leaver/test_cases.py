"""A case is opened with what is there, and settled by what is read back; nothing is green that was not looked at."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.utils import timezone

from broker import limits
from broker.access.registering import register_policy
from broker.actors import SYSTEM
from broker.delivery.carrying import carry
from broker.delivery.enqueueing import NewDelivery, enqueue
from broker.directory.services import deactivate_person, reactivate_person
from broker.events.models import Event
from broker.events.reading import read_notices
from broker.notify.services import create_subscription
from broker.registry.registering.clients import change_client, retire_client
from broker.sessions.services import end_session
from provisioning.batch.sources import create_file_source
from provisioning.inbound.sources import create_source
from provisioning.leaver.doors.owned import KINDS
from provisioning.leaver.following import read_departures
from provisioning.leaver.models import Case
from provisioning.leaver.retention import forget_cases
from provisioning.leaver.services import name_owner
from tests.factories import make_application, make_organisation, make_person, make_service
from tests.provisioning.leaver.places import Places
from tests.provisioning.leaver.stage import (
    EMAIL,
    OPERATOR,
    Leaver,
    make_target,
    with_account,
    with_grant,
    with_session,
    work,
)

pytestmark = pytest.mark.django_db
MAKERS: dict[str, Callable[[], Any]] = {
    "target": lambda: make_target("erp", owner=EMAIL),
    "scim_source": lambda: create_source("workday", organisation=make_organisation(), owner=EMAIL, actor=OPERATOR),
    "file_source": lambda: create_file_source("payroll", organisation=make_organisation(), owner=EMAIL, actor=OPERATOR),
    "webhook": lambda: create_subscription(
        "siem", owner=EMAIL, url="https://siem.example/events", types=["person.*"], actor=OPERATOR
    )[0],
    "policy": lambda: register_policy("erp", name="ERP", owner=EMAIL, actor=OPERATOR),
    "application": lambda: make_application(owner=EMAIL),
}


def make_leaver_without_address() -> Leaver:
    return Leaver(make_person())


def last_of(event_type: str) -> Event:
    return Event.objects.filter(type=event_type).latest("id")


def test_a_leaver_without_anything_is_not_green_and_what_was_looked_at_is_said(leaver: Leaver) -> None:
    case = leaver.leave()
    assert case.state == "nothing_found"
    assert case.looked_at == dict.fromkeys(
        ("session", "grant", "access_token", "operator", "application", "target", "ownership"), 0
    )


def test_sessions_are_ended_and_read_back(leaver: Leaver) -> None:
    session = with_session(leaver)
    leaver.leave()
    session.refresh_from_db()
    item = leaver.item("session")
    assert session.end_reason == "leaver"
    assert (item.state, item.code) == ("read_back", "ended")
    assert item.event == last_of("session.ended").pk
    assert len(item.digest) == 64


def test_a_session_that_idled_too_long_is_ended_as_well(leaver: Leaver) -> None:
    session = with_session(leaver)
    session.last_used_at = timezone.now() - limits.SESSION_IDLE * 2
    session.save()
    leaver.leave()
    session.refresh_from_db()
    assert session.ended_at is not None


def test_grants_are_revoked_and_their_tokens_are_not_verifiable_until_they_expire(leaver: Leaver) -> None:
    grant = with_grant(leaver)
    case = leaver.leave()
    grant.refresh_from_db()
    token = leaver.item("access_token")
    assert grant.revoked_at is not None
    assert leaver.item("grant").state == "read_back"
    assert token.state == "not_verifiable"
    assert token.until == case.left_at + limits.ACCESS_TOKEN_LIFETIME
    assert case.state == "green"


def test_a_grant_that_was_revoked_just_before_leaves_tokens_behind(leaver: Leaver) -> None:
    with_grant(leaver, revoked_at=timezone.now() - timedelta(minutes=4))
    with_grant(leaver, revoked_at=timezone.now() - timedelta(minutes=40))
    leaver.leave()
    assert leaver.case.items.filter(kind="grant").count() == 0
    until = leaver.item("access_token").until
    assert until is not None
    assert until < leaver.case.left_at + timedelta(minutes=6, seconds=1)


def test_an_application_that_can_be_told_is_open_until_it_acknowledges(leaver: Leaver, places: Places) -> None:
    with_session(leaver, tell=True)
    lane = f"client:{leaver.person.sso_sessions.get().participants.get().client.client_id}"
    places.behaviour[lane] = "down"
    leaver.leave()
    assert leaver.item("application").state == "open"
    places.behaviour[lane] = "closes"
    with time_machine.travel(timezone.now() + timedelta(minutes=2), tick=False):
        work()
    item = leaver.item("application")
    assert (item.state, item.code) == ("acknowledged", "told")
    assert item.delivery is not None
    assert len(item.digest) == 64


def test_an_application_that_refuses_is_not_verifiable_until_the_session_ends(leaver: Leaver, places: Places) -> None:
    session = with_session(leaver, tell=True)
    places.behaviour[f"client:{session.participants.get().client.client_id}"] = "refuses"
    leaver.leave()
    item = leaver.item("application")
    assert (item.state, item.code, item.until) == ("not_verifiable", "telling_failed", session.expires_at)


def test_an_application_without_a_way_to_be_told_is_not_verifiable(leaver: Leaver) -> None:
    session = with_session(leaver)
    leaver.leave()
    item = leaver.item("application")
    assert (item.state, item.code, item.until) == ("not_verifiable", "no_way_to_tell", session.expires_at)


def test_an_application_is_not_called_untellable_before_the_logout_has_read_of_the_end(leaver: Leaver) -> None:
    with_session(leaver, tell=True)
    deactivate_person(leaver.person, reason="left", actor=SYSTEM)
    read_departures(Event.objects.filter(type="person.deactivated"))
    assert leaver.item("application").state == "open"


def test_an_application_of_a_session_that_the_person_ended_before_counts_too(leaver: Leaver) -> None:
    end_session(with_session(leaver, tell=True), reason="logout", actor=SYSTEM)
    work()
    leaver.leave()
    assert leaver.case.items.filter(kind="session").count() == 0
    assert leaver.item("application").state == "acknowledged"


def test_the_persons_console_account_is_closed(leaver: Leaver, make_operator) -> None:
    make_operator("boss@acme.example")
    operator = make_operator(person=leaver.person)
    leaver.leave()
    operator.refresh_from_db()
    item = leaver.item("operator")
    assert not operator.is_active
    assert (item.state, item.event) == ("read_back", last_of("operator.changed").pk)


def test_an_account_counts_as_closed_only_after_it_was_read_back(leaver: Leaver, places: Places) -> None:
    account = with_account(leaver, "crm")
    leaver.leave()
    assert leaver.item("target").state == "open"
    account.read_active = False
    account.state = "disabled"
    account.save()
    work(1)
    assert leaver.item("target").state == "open", "no row of the ledger says that it was closed"
    leaver.ask_targets_to_close()
    work()
    item = leaver.item("target")
    assert (item.state, item.code) == ("read_back", "inactive")
    assert leaver.case.state == "green"


def test_a_read_back_from_before_the_departure_proves_nothing(leaver: Leaver) -> None:
    account = with_account(leaver, "crm")
    account.state, account.read_active = "disabled", False
    account.read_at = timezone.now() - timedelta(days=1)
    account.save()
    leaver.leave()
    assert leaver.item("target").state == "open"


def test_a_target_without_an_account_is_asked_and_says_so(leaver: Leaver, places: Places) -> None:
    make_target("erp")
    places.active["target:erp"] = None
    leaver.leave()
    item = leaver.item("target")
    assert (item.state, item.code) == ("read_back", "no_account")
    assert item.delivery is not None


def test_an_account_that_nobody_knew_of_is_found_and_is_not_green(leaver: Leaver, places: Places) -> None:
    make_target("erp")
    places.active["target:erp"] = True
    leaver.leave()
    item = leaver.item("target")
    assert (item.state, item.code) == ("open", "still_active")
    assert leaver.case.state == "open"


def test_a_target_that_is_switched_off_keeps_the_case_open_where_there_is_an_account(leaver: Leaver) -> None:
    with_account(leaver, "crm", enabled=False)
    make_target("erp", enabled=False)
    leaver.leave()
    assert leaver.item("target").code == "switched_off"
    assert leaver.case.state == "open"


def test_a_target_that_keeps_accounts_by_policy_is_not_green_by_itself(leaver: Leaver) -> None:
    with_account(leaver, "archive", leaver_policy="keep")
    leaver.leave()
    assert (leaver.item("target").state, leaver.item("target").code) == ("open", "kept")


def test_what_is_not_done_in_time_is_late_with_an_incident_and_done_late_afterwards(
    leaver: Leaver, places: Places
) -> None:
    with_account(leaver, "crm")
    places.behaviour["target:crm"] = "down"
    leaver.leave()
    leaver.ask_targets_to_close()
    work()
    assert leaver.case.state == "open"
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        work()
        assert leaver.case.state == "late"
        late = last_of("leaver.late")
        assert (late.severity, late.subject_id) == ("alert", str(leaver.case.pk))
        work()
        assert Event.objects.filter(type="leaver.late").count() == 1
        places.behaviour["target:crm"] = "closes"
    with time_machine.travel(timezone.now() + timedelta(hours=3), tick=False):
        work()
    item = leaver.item("target")
    assert item.state == "read_back"
    assert item.late_at is not None
    assert leaver.case.state == "green"


def test_a_target_that_lies_is_an_incident_and_never_green(leaver: Leaver, places: Places) -> None:
    with_account(leaver, "crm")
    places.behaviour["target:crm"] = "lies"
    leaver.leave()
    leaver.ask_targets_to_close()
    work()
    item = leaver.item("target")
    assert (item.state, item.code) == ("open", "target.lied")
    assert item.lied_at is not None
    assert last_of("leaver.target_lied").severity == "alert"
    assert leaver.case.state == "open"


def test_access_that_comes_back_reopens_the_case_until_it_is_closed_again(leaver: Leaver, places: Places) -> None:
    with_account(leaver, "crm")
    leaver.leave()
    leaver.ask_targets_to_close()
    work()
    assert leaver.case.state == "green"
    places.active["target:crm"] = True
    places.behaviour["target:crm"] = "down"
    with time_machine.travel(timezone.now() + timedelta(minutes=2), tick=True):
        work()
        assert leaver.case.state == "reopened"
        item = leaver.item("target")
        assert (item.state, item.code) == ("open", "access_returned")
        assert last_of("leaver.access_returned").severity == "alert"
        places.behaviour["target:crm"] = "closes"
    with time_machine.travel(timezone.now() + timedelta(minutes=30), tick=True):
        leaver.ask_targets_to_close()
        work()
    assert leaver.case.state == "green"
    assert leaver.item("target").returned_at is not None


def test_a_settled_account_is_read_again_as_often_as_planned_and_then_no_more(leaver: Leaver, places: Places) -> None:
    with_account(leaver, "crm")
    leaver.leave()
    leaver.ask_targets_to_close()
    work()
    begin = timezone.now()
    for done, after in enumerate(limits.LEAVER_REREADS, start=1):
        with time_machine.travel(begin + after + timedelta(seconds=20), tick=False):
            work()
            item = leaver.item("target")
            assert (item.state, item.reread) == ("read_back", done)
    assert item.read_next_at is None
    assert leaver.case.look_at is None


def test_a_person_who_returns_ends_the_case_and_another_departure_opens_another(leaver: Leaver) -> None:
    with_account(leaver, "crm")
    first = leaver.leave()
    reactivate_person(leaver.person, reason="back", actor=SYSTEM)
    work()
    first.refresh_from_db()
    assert (first.state, first.look_at) == ("returned", None)
    assert first.items.count() == 1
    second = leaver.leave()
    assert second.pk != first.pk
    assert second.state == "open"
    assert Case.objects.count() == 2


def test_reading_the_same_departure_again_changes_nothing(leaver: Leaver) -> None:
    with_session(leaver)
    leaver.leave()
    before = Event.objects.count()
    read_departures(Event.objects.filter(type="person.deactivated"))
    read_departures(Event.objects.filter(type="person.deactivated"))
    work()
    assert Case.objects.count() == 1
    assert Event.objects.count() == before


def test_a_departure_that_is_read_after_the_return_closes_nothing_of_the_present(leaver: Leaver) -> None:
    deactivate_person(leaver.person, reason="left", actor=SYSTEM)
    reactivate_person(leaver.person, reason="a mistake", actor=SYSTEM)
    session = with_session(leaver)
    read_notices()
    session.refresh_from_db()
    assert session.ended_at is None
    assert not Case.objects.exists()


def test_what_the_leaver_owns_waits_for_a_new_owner(leaver: Leaver) -> None:
    make_service(client_id="nightly", owner=EMAIL.upper())
    make_service(client_id="other", owner="bob@acme.example")
    leaver.leave()
    item = leaver.item("ownership")
    assert item.title.startswith("client nightly")
    assert (item.state, item.code) == ("open", "owner_needed")
    assert leaver.case.state == "open"


def test_an_account_that_the_breaker_holds_is_open_and_says_so(leaver: Leaver) -> None:
    account = with_account(leaver, "crm")
    leaver.leave()
    row = NewDelivery(lane=account.target.lane, subject=f"person:{leaver.person.pk}", hold="breaker:crm:1")
    enqueue("scim", [row], actor=SYSTEM)
    work()
    assert (leaver.item("target").state, leaver.item("target").code) == ("open", "held")


def test_every_kind_of_thing_that_names_an_owner_is_found(leaver: Leaver) -> None:
    """A kind that is registered later and forgotten here would go on working without anybody who answers for it."""
    named = {
        model
        for model in apps.get_models()
        if any(field.name == "owner" for field in model._meta.get_fields()) and model.__name__ != "RemoteKeys"
    }
    assert {owned.model for owned in KINDS.values()} == {
        model for model in named if model._meta.get_field("owner").max_length == 254
    }


@pytest.mark.parametrize("kind", ["target", "scim_source", "file_source", "webhook", "policy", "application"])
def test_what_has_another_owner_is_settled_by_the_event_of_its_change(leaver: Leaver, kind: str) -> None:
    row = MAKERS[kind]()
    leaver.leave()
    item = leaver.case.items.get(kind="ownership", reference=f"{kind}:{row.pk}")
    name_owner(leaver.case, [item.pk], owner="bob@acme.example", actor=OPERATOR)
    item.refresh_from_db()
    assert (item.state, item.code) == ("read_back", "owner_changed")
    event = Event.objects.get(pk=item.event)
    assert (event.type, event.subject_kind, event.subject_id) == ("party.changed", kind, row.slug)
    assert event.actor_id == OPERATOR.identifier


def test_what_is_retired_needs_no_owner(leaver: Leaver) -> None:
    client = make_service(client_id="nightly", owner=EMAIL)
    leaver.leave()
    retire_client(client, actor=OPERATOR)
    work()
    assert (leaver.item("ownership").state, leaver.item("ownership").code) == ("read_back", "retired")


def test_an_owner_who_was_named_by_other_means_settles_it_too(leaver: Leaver) -> None:
    client = make_service(client_id="nightly", owner=EMAIL)
    leaver.leave()
    change_client(client, owner="bob@acme.example", actor=OPERATOR)
    work()
    assert leaver.item("ownership").code == "owner_changed"


def test_a_case_past_its_retention_is_forgotten_and_a_watched_one_is_not(leaver: Leaver) -> None:
    leaver.leave()
    other = make_leaver_without_address()
    with_account(other, "crm")
    other.leave()
    with time_machine.travel(timezone.now() + limits.LEAVER_CASE_RETENTION + timedelta(days=1), tick=False):
        assert forget_cases(now=timezone.now()) == 1
    assert Case.objects.get() == other.case
    assert last_of("leaver.forgotten")


def test_many_items_are_told_to_the_book_in_parts(leaver: Leaver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LEAVER_ITEMS_PER_EVENT", 2)
    for number in range(5):
        make_service(client_id=f"service-{number}", owner=EMAIL)
    case = leaver.leave()
    told = Event.objects.filter(subject_kind="leaver", subject_id=str(case.pk)).order_by("id")
    assert [event.details["number"] for event in told] == [1, 2, 3]
    assert sorted(len(event.details["items"]) for event in told) == [1, 2, 2]


def test_a_settlement_of_somebody_else_wakes_nobody(leaver: Leaver) -> None:
    with_account(leaver, "archive", leaver_policy="keep")
    case = leaver.leave()
    later = timezone.now() + timedelta(hours=1)
    Case.objects.filter(pk=case.pk).update(look_at=later)
    row = NewDelivery(lane="target:archive", subject=f"person:{make_person().pk}")
    enqueue("scim", [row], actor=SYSTEM)
    carry("target:archive")
    read_notices()
    assert leaver.case.look_at == later
    enqueue("scim", [NewDelivery(lane="target:archive", subject=f"person:{leaver.person.pk}")], actor=SYSTEM)
    carry("target:archive")
    read_notices()
    woken = leaver.case.look_at
    assert woken is not None
    assert woken < later


def test_a_target_that_was_retired_before_is_told_from_its_successor(leaver: Leaver, places: Places) -> None:
    account = with_account(leaver, "crm", retired_at=timezone.now(), enabled=False)
    successor = make_target("crm")
    places.active["target:crm"] = None
    leaver.leave()
    states = dict(leaver.case.items.filter(kind="target").values_list("reference", "code"))
    assert states == {f"crm@{account.target_id}": "switched_off", "crm": "no_account"}
    assert successor.pk != account.target_id
