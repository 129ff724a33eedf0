"""A candidate is tried on live questions: it changes no answer, and what it would change is known."""

import json
from io import StringIO

import cedarpy
import pytest
from django.core.management import CommandError, call_command

from broker import limits
from broker.access.decisions import open_decision
from broker.access.in_force import policies_in_force
from broker.access.models import Decision, Flip, PolicyVersion
from broker.access.registering import end_trial, try_version
from broker.access.shadow import report
from tests.broker.access.house import ADA, ask, draft, in_force, permits, reread

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("settled")]

READ = 'permit(principal, action == Action::"read", resource is record);'
CLOSED = (
    '@id("closed") forbid(principal, action == Action::"read", resource is record) '
    "when { context has hour && context.hour > 18 };"
)


def tried(source, **fields):
    return try_version(draft(source, **fields), actor=ADA)


def told(*arguments, **options):
    out = StringIO()
    call_command("shadow_report", *arguments, stdout=out, **options)
    return out.getvalue()


def test_a_candidate_changes_no_answer():
    in_force(READ)
    tried(CLOSED)
    assert permits(context={"hour": 20})
    tried('permit(principal, action == Action::"write", resource is record);')
    assert not permits(action="write")


def test_its_flips_are_kept_with_their_decisions():
    in_force(READ)
    version = tried(CLOSED)
    for hour in (8, 19, 20, 10):
        permits(context={"hour": hour})
    flips = Flip.objects.filter(version=version)
    assert [one.would_be for one in flips] == [False, False]
    assert all(one.decision.decision for one in flips)
    assert flips[0].reasons == [f"{version.policy.slug}/closed"]
    counted = report(version)
    assert (counted.decisions, counted.flips, counted.would_deny, counted.would_permit) == (4, 2, 2, 0)
    assert counted.sentence == "would have changed 2 of 4 decisions: 2 to no, 0 to yes"


def test_decisions_outside_of_the_trial_are_not_counted():
    in_force(READ)
    version = draft(CLOSED)
    permits(context={"hour": 20})
    version = try_version(version, actor=ADA)
    permits(context={"hour": 20})
    end_trial(version, actor=ADA)
    permits(context={"hour": 20})
    assert (report(version).decisions, report(version).flips) == (1, 1)


def test_a_new_version_is_tried_in_the_place_of_the_policys_active_one():
    in_force(READ, slug="erp")
    version = tried(
        'permit(principal, action == Action::"read", resource is record) when { context has hour };', slug="erp"
    )
    assert permits()
    assert permits(context={"hour": 3})
    assert (report(version).decisions, report(version).flips) == (2, 1)


def test_a_candidate_that_fails_changes_no_answer_and_is_told():
    in_force(READ)
    version = tried("forbid(principal, action, resource is record) when { 9223372036854775807 + 1 > 0 };")
    decided = ask()
    assert decided.verdict.decision
    assert not decided.verdict.errors
    assert (report(version).failed, report(version).would_deny) == (1, 1)
    assert report(version).sentence.endswith("; failed at 1")


def test_a_panic_of_the_engine_in_a_candidate_changes_no_answer(monkeypatch):
    in_force(READ)
    tried(CLOSED)
    ask()
    really, candidate = cedarpy.is_authorized, policies_in_force().candidates[0].compiled
    handles = [part.handle for part in candidate._parts.values()]

    def panic(request, policies, entities):
        if policies in handles:
            raise type("PanicException", (BaseException,), {})
        return really(request, policies, entities)

    monkeypatch.setattr(cedarpy, "is_authorized", panic)
    assert permits()
    assert Flip.objects.get().has_failed


def test_where_no_other_rule_can_concern_nothing_is_tried(monkeypatch):
    in_force(READ)
    tried('permit(principal, action == Action::"write", resource is invoice);')
    permits()
    really, asked = cedarpy.is_authorized, []
    monkeypatch.setattr(cedarpy, "is_authorized", lambda *given: asked.append(1) or really(*given))
    permits()
    assert len(asked) == 1
    permits(action="write", resource=("invoice", "1"))
    assert len(asked) == 3


def test_no_more_candidates_are_tried_than_the_limit_says():
    in_force(READ)
    versions = [tried(CLOSED) for _ in range(limits.SHADOWS_PER_DECISION + 2)]
    permits(context={"hour": 20})
    assert Flip.objects.count() == limits.SHADOWS_PER_DECISION
    assert [report(one).flips for one in versions] == [1] * limits.SHADOWS_PER_DECISION + [0, 0]
    assert report(versions[-1]).decisions == 0


def test_one_candidate_a_policy():
    first = tried(READ, slug="erp")
    second = tried(CLOSED, slug="erp")
    assert reread(first).state == PolicyVersion.State.DRAFT
    assert second.state == PolicyVersion.State.CANDIDATE


def test_the_command_lists_what_would_change():
    in_force(READ)
    tried(CLOSED, slug="hours")
    permits(context={"hour": 9})
    decided = ask(context={"hour": 20})
    lines = told("hours").splitlines()
    assert lines[0] == "hours 1 would have changed 1 of 2 decisions: 1 to no, 0 to yes"
    assert lines[1].startswith(decided.decision_id)
    assert lines[1].endswith("read record: yes -> no (hours/closed)")
    written = json.loads(told("hours", json=True))
    assert (written["decisions"], written["flips"]) == (2, 1)
    assert written["changed"][0]["decision"] == decided.decision_id
    assert "alice" not in told("hours") + told("hours", json=True)


@pytest.mark.parametrize("arguments", [["nowhere"], ["hours", "--version-number", "7"]])
def test_the_command_knows_no_version_that_is_not_there(arguments):
    tried(CLOSED, slug="hours")
    with pytest.raises(CommandError, match="there is no version"):
        told(*arguments)


def test_a_decision_remembers_what_a_candidate_said_even_where_it_agreed():
    in_force(READ)
    version = tried(CLOSED)
    permits(context={"hour": 3})
    assert open_decision(Decision.objects.get()).shadows == {str(version.pk): True}
