"""A decision comes out the same again, whatever became of the directory, the policies and the schema."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from broker import crypto
from broker.access.models import Decision, PolicySet, PolicyVersion
from broker.access.replay import CannotReplay, find_decision, replay
from broker.actors import SYSTEM
from broker.directory.models import Person
from broker.directory.services import deactivate_person, set_groups
from tests.broker.access.house import Nobody, ask, in_force, out_of_force
from tests.factories import make_identity_provider, make_organisation, make_person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("settled")]

FINANCE = '@id("finance") permit(principal in Group::"acme/finance", action == Action::"read", resource is record);'


def kept(*args, **more):
    return Decision.objects.get(pk=ask(*args, **more).decision_id)


def told(decision_id):
    out = StringIO()
    call_command("replay_decision", str(decision_id), stdout=out)
    return out.getvalue()


def test_a_decision_is_the_same_after_the_directory_changed_and_the_policy_went():
    acme = make_identity_provider(slug="acme", organisation=make_organisation())
    person = make_person(organisation=acme.organisation)
    set_groups(person, ["finance"], identity_provider=acme, actor=SYSTEM)
    version = in_force(FINANCE, slug="books")
    decision = kept(("user", str(person.pk)))
    set_groups(Person.objects.get(pk=person.pk), [], identity_provider=acme, actor=SYSTEM)
    deactivate_person(person, reason="left", actor=SYSTEM)
    in_force("forbid(principal, action, resource is record);", slug="closed")
    out_of_force(version)
    assert not ask(("user", str(person.pk))).verdict.decision
    replayed = replay(decision)
    assert replayed.is_same
    assert (replayed.again.decision, replayed.again.reasons) == (True, ("books/finance",))
    Person.objects.all().delete()
    assert told(decision.pk).endswith("same\n")


def test_a_denial_and_an_error_come_out_again():
    in_force("permit(principal, action, resource is record) when { 9223372036854775807 + 1 > 0 };")
    for decision in (kept(), kept(action="write", resource=("invoice", "1")), kept(context={"a": {"__entity": 1}})):
        replayed = replay(decision)
        assert replayed.is_same
        assert replayed.again.decision is False


def test_what_was_not_the_callers_own_stays_refused():
    in_force("permit(principal, action, resource is record);")
    assert replay(kept(caller=Nobody())).again.decision is False


def test_the_command_tells_no_personal_value():
    in_force(FINANCE)
    text = told(kept(("user", "alice@acme.example"), resource=("record", "alice's leg")).pk)
    assert "alice" not in text
    assert text.splitlines()[1].startswith("user wants to read record, by policy set ")


@pytest.mark.parametrize("text", ["", "nonsense", "00000000-0000-0000-0000-000000000000", "1", "'; --"])
def test_a_decision_that_is_not_there(text):
    assert find_decision(text) is None
    with pytest.raises(CommandError, match="there is no decision"):
        told(text)


def test_rules_that_were_tampered_with_are_noticed():
    version = in_force(FINANCE)
    decision = kept()
    PolicyVersion.objects.filter(pk=version.pk).update(source="permit(principal, action, resource);")
    with pytest.raises(CannotReplay, match="not what they were"):
        replay(decision)
    with pytest.raises(CommandError, match="cannot be made again"):
        told(decision.pk)


def test_an_answer_that_was_tampered_with_is_noticed():
    decision = kept()
    Decision.objects.filter(pk=decision.pk).update(decision=True)
    with pytest.raises(SystemExit) as ended:
        told(decision.pk)
    assert ended.value.code == 1


def test_what_was_sealed_for_another_decision_does_not_open():
    one, other = kept(), kept(("user", "bob"))
    Decision.objects.filter(pk=one.pk).update(sealed=other.sealed)
    one.refresh_from_db()
    with pytest.raises(CannotReplay, match="cannot be opened"):
        replay(one)
    with pytest.raises(crypto.UnsealError):
        crypto.unseal(one.sealed, context="access.Decision.sealed.elsewhere")


def test_a_set_that_is_gone_is_said():
    in_force(FINANCE)
    decision = kept()
    PolicySet.objects.filter(pk=decision.policy_set).delete()
    with pytest.raises(CannotReplay, match="is gone"):
        replay(decision)


def test_a_decision_by_the_built_in_rules_alone_can_be_replayed():
    PolicySet.objects.all().delete()
    decision = kept()
    assert decision.policy_set == 0
    assert replay(decision).is_same
