"""Changing who speaks for an attribute: looked at first, dated, and applied to everybody in chunks."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.directory import rules
from broker.directory.models import AuthorityRule, Conflict, Person
from broker.directory.rules import apply_due_rules, schedule_rule, simulate_rule, withdraw_rule
from broker.directory.services import deactivate_person
from broker.directory.tasks import tend_authority
from broker.errors import BrokerError
from broker.events.models import Event
from broker.registry.cache import parties
from tests.broker.directory.sources import HR, LOGIN, OPERATOR, fresh, say
from tests.factories import make_person

pytestmark = pytest.mark.django_db
LOGINS_FIRST = ["idp:*", "scim:workday"]


def torn(count=1, attribute="title", values=("Engineer", "Wizard")):
    """People of whom HR and a login say different things."""
    people = []
    for _ in range(count):
        person = make_person()
        say(HR, person, **{attribute: values[0]})
        say(LOGIN, person, **{attribute: values[1]})
        people.append(person)
    return people


def titles(people):
    return [fresh(person).claims["title"] for person in people]


def test_a_simulation_counts_and_shows_whom_a_rule_would_change_and_writes_nothing():
    people = torn(3)
    make_person()
    versions = [fresh(person).version for person in people]
    found = simulate_rule("title", LOGINS_FIRST)
    assert (found.checked, found.changed, found.emptied, found.is_conclusive) == (3, 3, 0, True)
    assert {(one.before, one.after, one.winner) for one in found.samples} == {
        (("Engineer",), ("Wizard",), "idp:acme-entra")
    }
    assert {one.person for one in found.samples} == {person.pk for person in people}
    assert titles(people) == [["Engineer"]] * 3
    assert [fresh(person).version for person in people] == versions
    assert not AuthorityRule.objects.exists()


@pytest.mark.parametrize("attribute", ["email", "user_name", "given_name", "roles"])
def test_every_kind_of_attribute_is_simulated(attribute):
    torn(1, attribute, ("a@acme.example", "b@acme.example"))
    found = simulate_rule(attribute, LOGINS_FIRST)
    assert [(one.before, one.after) for one in found.samples] == [(("a@acme.example",), ("b@acme.example",))]


def test_a_simulation_says_how_many_would_be_left_with_nothing_or_closed():
    torn(2)
    assert simulate_rule("title", ["csv:payroll"]).emptied == 2
    person = make_person()
    say(HR, person, active="true")
    say(LOGIN, person, active="false")
    assert simulate_rule("active", LOGINS_FIRST).emptied == 1
    deactivate_person(fresh(person), reason="operator", actor=OPERATOR)
    assert simulate_rule("active", ["scim:workday"]).changed == 0, "no rule opens what an operator closed"


def test_a_simulation_over_nobody_proves_nothing():
    torn()
    found = simulate_rule("tittle", LOGINS_FIRST)
    assert (found.checked, found.changed, found.is_conclusive) == (0, 0, False)


def test_samples_are_few_and_the_count_is_whole(monkeypatch):
    monkeypatch.setattr(rules, "_READ", 4)
    torn(limits.AUTHORITY_SAMPLES + 1)
    found = simulate_rule("title", LOGINS_FIRST)
    assert (found.changed, len(found.samples)) == (21, limits.AUTHORITY_SAMPLES)


def test_a_rule_counts_from_its_moment_on_and_is_then_applied_to_everybody():
    people = torn(2)
    begins = timezone.now() + timedelta(days=1)
    rule, simulation = schedule_rule("title", LOGINS_FIRST, valid_from=begins, actor=OPERATOR)
    assert simulation.changed == 2
    tend_authority()
    assert say(LOGIN, fresh(people[0]), title="Witch").conflicts == ("title",)
    assert AuthorityRule.objects.get().state == "scheduled"
    with time_machine.travel(begins + timedelta(minutes=1)):
        assert say(LOGIN, fresh(people[0]), title="Seer").changed == ("title",)
        tend_authority()
        tend_authority()
    assert titles(people) == [["Seer"], ["Wizard"]]
    rule.refresh_from_db()
    assert (rule.state, rule.checked, rule.changed) == ("applied", 2, 1)
    assert {one.state for one in Conflict.objects.all()} == {"ended"}
    (applied,) = Event.objects.filter(type="authority.applied")
    assert (applied.details["checked"], applied.details["changed"]) == (2, 1)


def test_a_source_that_no_rule_names_has_no_authority():
    (person,) = torn()
    schedule_rule("title", ["csv:payroll"], actor=OPERATOR)
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        apply_due_rules(now=timezone.now())
        assert titles([person]) == [[]]
        assert say(HR, fresh(person), title="Director").conflicts == ("title",)
    assert titles([person]) == [[]]
    assert fresh(person).provenance["title"]["scim:workday"]["values"] == ["Director"]


def test_a_rule_without_sources_brings_back_the_usual_order():
    (person,) = torn()
    schedule_rule("title", LOGINS_FIRST, actor=OPERATOR)
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        apply_due_rules(now=timezone.now())
        assert titles([person]) == [["Wizard"]]
        schedule_rule("title", [], actor=OPERATOR)
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        apply_due_rules(now=timezone.now())
    assert titles([person]) == [["Engineer"]]


def test_an_application_goes_on_where_it_was_stopped(monkeypatch):
    monkeypatch.setattr(limits, "DIRECTORY_CHUNK", 2)
    monkeypatch.setattr(rules, "CHUNKS_PER_RUN", 1)
    people = torn(5)
    rule, _ = schedule_rule("title", LOGINS_FIRST, actor=OPERATOR)
    seen = []
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        for _ in range(4):
            apply_due_rules(now=timezone.now())
            rule.refresh_from_db()
            seen.append((rule.state, rule.checked, titles(people).count(["Wizard"])))
    assert seen == [("applying", 2, 2), ("applying", 4, 4), ("applied", 5, 5), ("applied", 5, 5)]
    told = [
        event.details["people"]
        for event in Event.objects.filter(type="person.changed", details__source=f"rule:{rule.pk}")
        if "people" in event.details
    ]
    assert [len(one) for one in told] == [2, 2]


def test_a_rule_over_nobody_is_applied_and_says_that_nobody_was_there():
    rule, simulation = schedule_rule("title", LOGINS_FIRST, actor=OPERATOR)
    assert not simulation.is_conclusive
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        tend_authority()
    rule.refresh_from_db()
    assert (rule.state, rule.checked) == ("applied", 0)


@pytest.mark.parametrize(
    ("attribute", "sources", "code"),
    [
        ("title", ["hr"], "authority.rule"),
        ("title", ["scim:"], "authority.rule"),
        ("title", ["scim:Bad Slug"], "authority.rule"),
        ("title", ["operator:one"], "authority.rule"),
        ("title", ["operator:*"], "authority.rule"),
        ("title", ["scim:workday", "scim:workday"], "authority.rule"),
        ("title", [f"scim:s{number}" for number in range(limits.AUTHORITY_SOURCES + 1)], "authority.rule"),
        ("groups", ["scim:workday"], "authority.attribute"),
        ("", ["scim:workday"], "authority.attribute"),
        ("x" * 129, ["scim:workday"], "authority.attribute"),
    ],
)
def test_what_cannot_be_a_rule_is_refused(attribute, sources, code):
    for act in (lambda: simulate_rule(attribute, sources), lambda: schedule_rule(attribute, sources, actor=SYSTEM)):
        with pytest.raises(BrokerError) as refused:
            act()
        assert refused.value.code == code
    assert not AuthorityRule.objects.exists()


@pytest.mark.parametrize("ahead", [timedelta(minutes=-2), limits.AUTHORITY_AHEAD + timedelta(days=1)])
def test_a_rule_begins_within_a_year_and_not_in_the_past(ahead):
    with pytest.raises(BrokerError) as refused:
        schedule_rule("title", LOGINS_FIRST, valid_from=timezone.now() + ahead, actor=SYSTEM)
    assert refused.value.code == "authority.rule"


def test_a_rule_that_would_change_others_than_were_looked_at_is_refused():
    torn(2)
    looked_at = simulate_rule("title", LOGINS_FIRST).changed
    torn()
    with pytest.raises(BrokerError) as refused:
        schedule_rule("title", LOGINS_FIRST, actor=OPERATOR, expected=looked_at)
    assert refused.value.code == "authority.simulation"
    assert schedule_rule("title", LOGINS_FIRST, actor=OPERATOR, expected=3)[1].changed == 3


def test_a_rule_is_withdrawn_before_it_begins_and_not_after():
    (person,) = torn()
    begins = timezone.now() + timedelta(days=1)
    rule, _ = schedule_rule("title", LOGINS_FIRST, valid_from=begins, actor=OPERATOR)
    other, _ = schedule_rule("department", LOGINS_FIRST, valid_from=begins, actor=OPERATOR)
    for _ in range(2):
        assert withdraw_rule(rule, actor=OPERATOR).state == "withdrawn"
    with time_machine.travel(begins + timedelta(hours=1)):
        parties.forget()
        apply_due_rules(now=timezone.now())
        with pytest.raises(BrokerError) as refused:
            withdraw_rule(other, actor=OPERATOR)
    assert refused.value.code == "authority.rule"
    assert titles([person]) == [["Engineer"]]
    assert Event.objects.filter(type="authority.withdrawn").count() == 1


def test_a_rule_that_takes_an_identifier_from_one_source_gives_the_others_value():
    person = make_person()
    say(HR, person, email="a@acme.example")
    say(LOGIN, person, email="b@acme.example")
    schedule_rule("email", LOGINS_FIRST, actor=OPERATOR)
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        apply_due_rules(now=timezone.now())
    assert fresh(person).held_identifiers == {"email": "b@acme.example"}
    assert Person.objects.count() == 1
