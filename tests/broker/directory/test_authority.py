"""Whose word counts: every value is kept, one is in force, and what has no authority is a recorded conflict."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.directory.authority import explain_person, explain_value, withdraw_source, write_many
from broker.directory.models import Conflict, Identifier
from broker.directory.services import create_person, deactivate_person, reactivate_person
from broker.errors import BrokerError
from broker.events.models import Event
from tests.broker.directory.sources import (
    HR,
    LOGIN,
    OPERATOR,
    OPERATORS,
    OTHER_HR,
    OTHER_LOGIN,
    PAYROLL,
    fresh,
    say,
)
from tests.factories import make_organisation, make_person

pytestmark = pytest.mark.django_db


def title(person):
    return fresh(person).claims.get("title")


def events(kind):
    return list(Event.objects.filter(type=kind).order_by("id"))


def withdraw(person, source, **options):
    return withdraw_source(fresh(person), source, evidence="journal:9", actor=SYSTEM, **options)


# --- Who wins -------------------------------------------------------------------------------------------------------


def test_hr_outranks_a_login_and_the_loser_is_kept_with_its_time_and_evidence():
    person = make_person()
    say(LOGIN, person, title="Wizard")
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        written = say(HR, person, title="Engineer")
    assert (written.changed, written.kept, written.conflicts) == (("title",), (), ())
    told = fresh(person).provenance["title"]
    assert (title(person), told["idp:acme-entra"]["values"]) == (["Engineer"], ["Wizard"])
    assert told["scim:workday"]["evidence"] == "journal:1"
    assert told["scim:workday"]["at"] > told["idp:acme-entra"]["at"]


def test_a_write_without_authority_is_kept_recorded_and_not_applied():
    person = make_person()
    say(HR, person, title="Engineer")
    written = say(LOGIN, person, title="Wizard")
    assert (written.changed, written.kept, written.conflicts) == ((), ("title",), ("title",))
    assert written.codes == {"title": "authority.not_authoritative"}
    assert title(person) == ["Engineer"]
    row = Conflict.objects.get()
    assert (row.source, row.winner, row.values, row.state) == ("idp:acme-entra", "scim:workday", ["Wizard"], "open")
    (event,) = events("authority.conflict")
    assert event.subject_id == str(person.pk)
    assert "Wizard" not in str(event.details)


def test_the_same_conflict_said_again_is_told_once_and_another_value_again():
    person = make_person()
    say(HR, person, title="Engineer")
    for one in ("Wizard", "Wizard", "Witch", "Witch"):
        assert say(LOGIN, fresh(person), title=one).conflicts == ("title",)
    assert len(events("authority.conflict")) == 2
    assert Conflict.objects.get().values == ["Witch"]


def test_what_lost_when_another_began_to_speak_is_a_conflict_once_it_is_said_again():
    person = make_person()
    say(LOGIN, person, title="Wizard")
    say(HR, person, title="Engineer")
    assert not Conflict.objects.exists()
    assert say(LOGIN, fresh(person), title="Wizard").conflicts == ("title",)
    assert Conflict.objects.get().values == ["Wizard"]


def test_a_conflict_ends_when_the_sources_agree():
    person = make_person()
    say(HR, person, title="Engineer")
    say(LOGIN, person, title="Wizard")
    assert say(LOGIN, person, title="Engineer").conflicts == ()
    assert Conflict.objects.get().state == "ended"
    say(LOGIN, person, title="Wizard")
    assert Conflict.objects.get().state == "open"
    say(HR, person, title="Wizard")
    assert Conflict.objects.get().state == "ended"


def test_an_agreeing_loser_is_kept_without_a_conflict():
    person = make_person()
    say(HR, person, title="Engineer")
    written = say(LOGIN, person, title="Engineer")
    assert (written.kept, written.conflicts) == (("title",), ())
    assert not Conflict.objects.exists()


def test_saying_that_there_is_none_is_saying_something():
    person = make_person()
    say(LOGIN, person, title="Wizard")
    say(HR, person, title="Engineer")
    say(HR, person, title=None)
    assert title(person) == []


def test_the_last_login_counts_among_identity_providers_and_the_first_feed_among_feeds():
    person = make_person()
    for minute, (source, one) in enumerate([(LOGIN, "a"), (OTHER_LOGIN, "b"), (LOGIN, "c")]):
        with time_machine.travel(timezone.now() + timedelta(minutes=minute), tick=False):
            assert say(source, person, title=one).changed == ("title",)
    with time_machine.travel(timezone.now() + timedelta(hours=1), tick=False):
        say(HR, person, title="d")
    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=False):
        assert say(OTHER_HR, person, title="e").conflicts == ("title",)
    with time_machine.travel(timezone.now() + timedelta(hours=3), tick=False):
        say(HR, person, title="f")
    assert title(person) == ["f"]


@pytest.mark.parametrize(
    ("best", "next_best"), [(HR, PAYROLL), (PAYROLL, OPERATORS), (OPERATORS, LOGIN)], ids=lambda one: str(one)
)
def test_without_a_rule_feeds_come_before_operators_and_these_before_logins(best, next_best):
    person = make_person()
    say(best, person, title="best")
    assert say(next_best, person, title="next").conflicts == ("title",)
    assert title(person) == ["best"]


def test_names_lie_in_their_columns():
    person = make_person(name="", given_name="", family_name="")
    say(HR, person, name="Ada King", given_name="Ada", family_name="King")
    say(HR, person, given_name=None)
    found = fresh(person)
    assert (found.name, found.given_name, found.family_name) == ("Ada King", "", "King")


def test_what_was_known_before_sources_were_recorded_is_kept_below_them():
    person = make_person(claims={"title": ["Old"]})
    say(HR, person, title="New")
    assert fresh(person).provenance["title"]["system"]["values"] == ["Old"]
    withdraw(person, HR, attributes=["title"])
    assert title(person) == ["Old"]


def test_an_equal_write_asks_nothing_of_the_database():
    person = make_person()
    say(HR, person, title="Engineer", email="a@acme.example", active="true")
    version = fresh(person).version
    person = fresh(person)
    say(HR, person, title="Engineer")  # the rules are remembered from here on
    with CaptureQueriesContext(connection) as captured:
        assert say(HR, person, title="Engineer", email="a@acme.example", active="true").changed == ()
    assert len(captured) == 0
    assert fresh(person).version == version


def test_each_change_is_one_more_version():
    person = make_person()
    assert person.version == 1
    say(HR, person, title="a")
    say(HR, person, title="b")
    assert fresh(person).version == 3


# --- A source that goes ---------------------------------------------------------------------------------------------


def test_what_lost_counts_again_when_the_winner_withdraws():
    person = make_person()
    say(HR, person, title="Engineer", department="R&D", active="true")
    say(LOGIN, person, title="Wizard")
    written = withdraw(person, HR)
    assert written.changed == ("active", "department", "title")
    found = fresh(person)
    assert (found.claims, found.is_active) == ({"title": ["Wizard"], "department": []}, False)
    assert Conflict.objects.get().state == "ended"
    assert "scim:workday" not in found.provenance["title"]


def test_withdrawing_some_attributes_leaves_the_rest_and_the_account():
    person = make_person()
    say(HR, person, title="Engineer", department="R&D", active="true")
    assert withdraw(person, HR, attributes=["title"]).changed == ("title",)
    assert (fresh(person).claims, fresh(person).is_active) == ({"title": [], "department": ["R&D"]}, True)


def test_a_file_that_never_spoke_of_accounts_closes_none_by_going():
    person = make_person()
    say(PAYROLL, person, cost_center="7")
    assert withdraw(person, PAYROLL).changed == ("cost_center",)
    assert fresh(person).is_active


def test_withdrawing_twice_changes_nothing_more():
    person = make_person()
    say(HR, person, title="Engineer", active="true")
    withdraw(person, HR)
    assert withdraw(person, HR).changed == ()
    assert len(events("person.deactivated")) == 1


# --- Whether the account is open ------------------------------------------------------------------------------------


def test_hr_closes_an_account_at_once_and_a_rehire_is_the_same_person():
    person = make_person()
    say(HR, person, active="true", title="Engineer")
    assert say(HR, person, active="false").changed == ("active",)
    assert not fresh(person).is_active
    assert say(HR, person, active="true").changed == ("active",)
    found = fresh(person)
    assert (found.is_active, found.claims) == (True, {"title": ["Engineer"]})
    assert [event.type for event in Event.objects.exclude(type="person.changed").order_by("id")] == [
        "person.deactivated",
        "person.reactivated",
    ]
    assert not any("active" in event.details["changed"] for event in events("person.changed"))


def test_no_source_undoes_what_an_operator_closed():
    person = make_person()
    say(HR, person, active="true")
    deactivate_person(fresh(person), reason="operator", actor=OPERATOR)
    assert say(HR, fresh(person), active="true").conflicts == ("active",)
    assert not fresh(person).is_active
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        assert reactivate_person(fresh(person), reason="operator", actor=OPERATOR).is_active
    assert Conflict.objects.get().state == "ended"


def test_a_person_closed_before_sources_were_recorded_stays_closed():
    person = make_person(is_active=False)
    assert say(HR, person, active="true").conflicts == ("active",)
    assert not fresh(person).is_active


def test_an_operator_who_opens_what_hr_closed_leaves_a_conflict_and_a_closed_account():
    person = make_person()
    say(HR, person, active="true")
    say(HR, person, active="false")
    assert not reactivate_person(fresh(person), reason="operator", actor=OPERATOR).is_active
    row = Conflict.objects.get()
    assert (row.source, row.winner, row.attribute) == ("operator", "scim:workday", "active")
    say(HR, fresh(person), active="true")
    assert fresh(person).is_active
    assert Conflict.objects.get().state == "ended"


def test_a_login_cannot_open_or_close_what_hr_says():
    person = make_person()
    say(HR, person, active="false")
    assert say(LOGIN, person, active="true").conflicts == ("active",)
    assert not fresh(person).is_active


def test_a_second_feed_does_not_keep_somebody_in_whom_the_first_let_go():
    person = make_person()
    say(HR, person, active="true")
    say(PAYROLL, person, active="true")
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False):
        withdraw(person, HR)
        assert not fresh(person).is_active
    with time_machine.travel(timezone.now() + timedelta(days=2), tick=False):
        say(PAYROLL, fresh(person), active="true")
        assert not fresh(person).is_active, "the file of yesterday, sent again"
    with time_machine.travel(timezone.now() + timedelta(days=3), tick=False):
        assert say(OTHER_HR, fresh(person), active="true").changed == ("active",), "another employer took them over"


# --- Identifiers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["email", "eppn", "user_name"])
@pytest.mark.parametrize("lookalike", ["a@acme.example", "A@ACME.EXAMPLE", "ａ@acme.example"])
def test_an_identifier_of_somebody_else_is_a_conflict_and_the_rest_is_applied(kind, lookalike):
    first, second = make_person(), make_person()
    say(HR, first, **{kind: "a@acme.example"})
    written = say(HR, second, **{kind: lookalike, "title": "Engineer"})
    assert (written.changed, written.conflicts) == (("title",), (kind,))
    assert written.codes == {kind: "authority.identifier_taken"}
    assert title(second) == ["Engineer"]
    assert Identifier.objects.get().person_id == first.pk
    assert fresh(second).provenance[kind]["scim:workday"]["values"] == [lookalike]
    assert Conflict.objects.get().code == "authority.identifier_taken"


def test_an_identifier_goes_when_it_is_no_more_and_is_written_anew_when_it_changes():
    person = make_person()
    say(HR, person, email="a@acme.example")
    say(HR, person, email="b@acme.example")
    assert fresh(person).held_identifiers == {"email": "b@acme.example"}
    say(HR, person, email=None)
    assert not Identifier.objects.exists()


def test_a_free_identifier_is_taken_at_the_next_word_of_the_source():
    first, second = make_person(), make_person()
    say(HR, first, email="a@acme.example")
    say(HR, second, email="a@acme.example")
    say(HR, first, email="z@acme.example")
    assert say(HR, fresh(second), email="a@acme.example").changed == ("email",)
    assert Conflict.objects.get().state == "ended"


def test_the_next_source_stands_in_for_an_identifier_that_is_taken():
    first, second = make_person(), make_person()
    say(HR, first, email="a@acme.example")
    say(LOGIN, second, email="b@acme.example")
    assert say(HR, second, email="a@acme.example").conflicts == ("email",)
    assert fresh(second).held_identifiers == {"email": "b@acme.example"}


# --- Many at once ---------------------------------------------------------------------------------------------------


def test_many_people_are_written_in_a_bounded_number_of_statements():
    organisation = make_organisation()
    counts = []
    for size in (20, 200):
        people = [create_person(organisation, actor=SYSTEM) for _ in range(size)]
        told = [
            (one, {"title": ("Engineer",), "email": (f"{one.pk}@acme.example",), "active": ("true",)}) for one in people
        ]
        with CaptureQueriesContext(connection) as captured:
            written = write_many(told, source=HR, evidence="journal:2", actor=SYSTEM)
        counts.append(len(captured))
        assert all(one.changed == ("email", "title") for one in written)
    # SQLite takes fewer parameters in one statement than 200 people need.
    assert counts[1] <= counts[0] + 12, counts
    last = events("person.changed")[-1]
    assert set(last.details["people"]) == {str(one.pk) for one in people}
    assert (last.subject_id, last.details["changed"]) == ("", ["email", "title"])


def test_many_conflicts_of_one_kind_are_told_in_one_event_and_kept_in_a_row_each():
    people = [make_person() for _ in range(3)]
    for person in people:
        say(HR, person, title="Engineer")
    write_many([(one, {"title": ("Wizard",)}) for one in people], source=LOGIN, evidence="", actor=SYSTEM)
    (event,) = events("authority.conflict")
    assert set(event.details["people"]) == {str(one.pk) for one in people}
    assert Conflict.objects.filter(state="open").count() == 3


def test_one_identifier_for_two_people_of_a_batch_goes_to_one_of_them():
    told = [(make_person(), {"email": ("a@acme.example",)}) for _ in range(2)]
    written = write_many(told, source=HR, evidence="", actor=SYSTEM)
    assert sorted(one.conflicts for one in written) == [(), ("email",)]


# --- What cannot be kept --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"title": ("a\x00b",)}, "authority.value"),
        ({"name": ("a\nb",)}, "authority.value"),
        ({"title": ("a\x1bb",)}, "authority.value"),
        ({"title": ("\ud800",)}, "authority.value"),
        ({"roles": ("a\x00",)}, "authority.value"),
        ({"name": ("  ",)}, "authority.value"),
        ({"email": ("a@x", "b@x")}, "authority.value"),
        ({"title": (7,)}, "authority.value"),
        ({"active": ("yes",)}, "authority.value"),
        ({"active": ("False",)}, "authority.value"),
        ({"active": ()}, "authority.value"),
        ({"roles": ("x",) * (limits.DIRECTORY_VALUES + 1)}, "authority.too_large"),
        ({"roles": tuple("x" * 4_000 for _ in range(200))}, "authority.too_large"),
        ({"title": ("x" * (limits.DIRECTORY_VALUE_CHARS + 1),)}, "authority.too_large"),
        ({"given_name": ("x" * 201,)}, "authority.too_large"),
        ({"email": ("x" * 321,)}, "authority.too_large"),
        ({"email": ("ﷺ" * 40,)}, "authority.too_large"),
        ({f"a{number}": ("x",) for number in range(limits.DIRECTORY_ATTRIBUTES + 1)}, "authority.too_large"),
        ({"": ("x",)}, "authority.attribute"),
        ({"a b": ("x",)}, "authority.attribute"),
        ({"a\x00": ("x",)}, "authority.attribute"),
        ({"x" * 129: ("x",)}, "authority.attribute"),
        ({"groups": ("admins",)}, "authority.attribute"),
    ],
    ids=lambda one: one if isinstance(one, str) else ",".join(one)[:20] + ascii(next(iter(one.values()))[:1])[:20],
)
def test_what_cannot_be_kept_is_refused_and_nothing_is_written(told, code):
    person = make_person()
    with pytest.raises(BrokerError) as refused:
        say(HR, person, department="R&D", **told)
    assert refused.value.code == code
    assert fresh(person).provenance == {}


def test_lines_are_kept_where_a_claim_may_have_them():
    person = make_person()
    say(LOGIN, person, address=("Street 1\nCity",))
    assert fresh(person).claims == {"address": ["Street 1\nCity"]}


# --- Why is it so? --------------------------------------------------------------------------------------------------


def test_a_value_is_explained_by_its_winner_and_every_loser():
    person = make_person()
    say(HR, person, title="Engineer")
    say(LOGIN, person, title="Wizard")
    found = explain_value(fresh(person), "title")
    assert (found.values, found.winner) == (("Engineer",), "scim:workday")
    assert found.rule.startswith("no rule")
    assert [(one.source, one.values, one.is_winner, one.standing, one.conflict) for one in found.sources] == [
        ("scim:workday", ("Engineer",), True, "in force", ""),
        ("idp:acme-entra", ("Wizard",), False, "ranks below", "authority.not_authoritative"),
    ]
    assert all(one.evidence == "journal:1" and one.at for one in found.sources)


def test_everything_known_is_explained_also_what_has_no_source():
    person = make_person(claims={"title": ["Old"]})
    say(HR, person, email="a@acme.example")
    deactivate_person(fresh(person), reason="operator", actor=OPERATOR)
    found = {one.attribute: one for one in explain_person(fresh(person))}
    assert list(found) == ["active", "email", "family_name", "given_name", "name", "title"]
    assert (found["title"].values, found["title"].winner, found["title"].sources) == (("Old",), "", ())
    assert found["active"].rule.startswith("closed or opened by hand")


def test_what_nobody_tells_is_explained_as_nothing():
    found = explain_value(make_person(), "shoe_size")
    assert (found.values, found.winner, found.sources) == ((), "", ())
