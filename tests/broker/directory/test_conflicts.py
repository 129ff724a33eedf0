"""What operators decide of conflicts, and identifiers that wait until they are free."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker.directory.conflicts import Decision, resolve_conflict, retry_taken, simulate_winning
from broker.directory.models import AuthorityRule, Conflict
from broker.directory.rules import withdraw_rule
from broker.directory.tasks import tend_authority
from broker.errors import BrokerError
from broker.events.models import Event
from tests.broker.directory.sources import HR, LOGIN, OPERATOR, OTHER_HR, fresh, say
from tests.factories import make_person

pytestmark = pytest.mark.django_db


def make_conflict(person=None, **fields):
    person = person or make_person()
    say(HR, person, title="Engineer")
    say(LOGIN, person, title="Wizard")
    return Conflict.objects.get(person=person)


def make_taken():
    first, second = make_person(), make_person()
    say(HR, first, email="a@acme.example")
    say(HR, second, email="a@acme.example", title="Engineer")
    return first, second, Conflict.objects.get()


def test_what_is_kept_stays_so_until_the_source_says_something_else():
    conflict = make_conflict()
    resolved = resolve_conflict(conflict, Decision.KEEP, actor=OPERATOR, note="HR is right")
    assert (resolved.state, resolved.note, resolved.resolved_by) == ("kept", "HR is right", "operator:one@acme.example")
    say(LOGIN, fresh(conflict.person), title="Wizard")
    conflict.refresh_from_db()
    assert conflict.state == "kept"
    say(LOGIN, fresh(conflict.person), title="Witch")
    conflict.refresh_from_db()
    assert (conflict.state, conflict.note, conflict.values) == ("open", "", ["Witch"])
    (event,) = Event.objects.filter(type="conflict.resolved")
    assert "HR is right" not in str(event.details)


def test_to_let_the_source_win_is_a_dated_rule_that_ends_the_conflict():
    conflict = make_conflict()
    begins = timezone.now() + timedelta(days=2)
    assert simulate_winning(conflict).changed == 1
    resolved = resolve_conflict(conflict, Decision.WIN, actor=OPERATOR, valid_from=begins, expected=1)
    assert resolved.state == "scheduled"
    rule = AuthorityRule.objects.get()
    assert rule.sources == ["idp:acme-entra", "scim:*", "csv:*", "operator", "idp:*"]
    with time_machine.travel(begins + timedelta(minutes=1)):
        tend_authority()
    conflict.refresh_from_db()
    assert conflict.state == "ended"
    assert fresh(conflict.person).claims == {"title": ["Wizard"]}


def test_a_rule_that_is_taken_back_opens_its_conflict_again():
    conflict = make_conflict()
    begins = timezone.now() + timedelta(days=2)
    resolve_conflict(conflict, Decision.WIN, actor=OPERATOR, valid_from=begins)
    withdraw_rule(AuthorityRule.objects.get(), actor=OPERATOR)
    conflict.refresh_from_db()
    assert (conflict.state, conflict.rule, conflict.resolved_by) == ("open", None, "")


def test_to_let_it_win_moves_it_to_the_front_of_the_rule_in_force():
    AuthorityRule.objects.create(
        attribute="title",
        sources=["scim:workday", "idp:acme-entra"],
        valid_from=timezone.now() - timedelta(days=1),
        created_at=timezone.now(),
        created_by="suite",
        state="applied",
    )
    resolve_conflict(make_conflict(fresh(make_person())), Decision.WIN, actor=OPERATOR)
    assert AuthorityRule.objects.latest("pk").sources == ["idp:acme-entra", "scim:workday"]


def test_a_conflict_that_is_over_is_not_decided():
    conflict = make_conflict()
    say(LOGIN, fresh(conflict.person), title="Engineer")
    with pytest.raises(BrokerError) as refused:
        resolve_conflict(conflict, Decision.KEEP, actor=OPERATOR)
    assert refused.value.code == "authority.conflict_over"


@pytest.mark.parametrize("note", ["x" * 501, "a\x00"])
def test_a_note_that_cannot_be_kept_is_refused(note):
    for decision in Decision:
        with pytest.raises(BrokerError) as refused:
            resolve_conflict(make_conflict(), decision, actor=OPERATOR, note=note)
        assert refused.value.code == "authority.rule"
    assert not AuthorityRule.objects.exists()


def test_nobody_wins_by_rule_what_is_somebody_elses():
    _, _, conflict = make_taken()
    with pytest.raises(BrokerError) as refused:
        simulate_winning(conflict)
    assert refused.value.code == "authority.rule"
    with pytest.raises(BrokerError) as refused:
        resolve_conflict(conflict, Decision.WIN, actor=OPERATOR)
    assert refused.value.code == "authority.rule"
    assert resolve_conflict(conflict, Decision.KEEP, actor=OPERATOR).state == "kept"


def test_a_rule_that_was_not_looked_at_as_it_is_resolves_nothing():
    conflict = make_conflict()
    with pytest.raises(BrokerError) as refused:
        resolve_conflict(conflict, Decision.WIN, actor=OPERATOR, expected=7)
    assert refused.value.code == "authority.simulation"
    conflict.refresh_from_db()
    assert conflict.state == "open"


def test_an_identifier_waits_until_it_is_free():
    first, second, conflict = make_taken()
    assert retry_taken() == 0
    say(OTHER_HR, fresh(second), department="R&D")
    say(HR, first, email="z@acme.example")
    assert retry_taken() == 1
    assert fresh(second).held_identifiers == {"email": "a@acme.example"}
    conflict.refresh_from_db()
    assert conflict.state == "ended"
    assert retry_taken() == 0


def test_of_two_who_wait_for_one_identifier_one_gets_it():
    first, second, _ = make_taken()
    third = make_person()
    say(HR, third, email="a@acme.example")
    say(HR, first, email=None)
    assert retry_taken() == 1
    assert sorted(len(fresh(one).held_identifiers) for one in (second, third)) == [0, 1]
    assert Conflict.objects.filter(state="open").count() == 1
