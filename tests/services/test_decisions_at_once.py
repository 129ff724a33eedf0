"""Decisions and activations at one moment: each is kept once, and one version of a policy is in force."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DataError

from broker.access import decisions
from broker.access.activation import request_activation
from broker.access.models import Decision, PolicySet, PolicyVersion
from broker.access.replay import replay
from broker.approvals.services import approve
from broker.errors import BrokerError
from tests.broker.access.house import ADA, BOB, ask, draft, in_force, permits, settle

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
AtOnce = Callable[[list[Callable[[], Any]]], list[Any]]
MANY = 24
READ = 'permit(principal, action == Action::"read", resource is record);'


def test_decisions_at_one_moment_are_all_kept_once_and_some_together(
    at_once: AtOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle()
    in_force(READ)
    ask()
    sizes: list[int] = []
    write = decisions.committing._write
    monkeypatch.setattr(decisions.committing, "_write", lambda rows: (sizes.append(len(rows)), write(rows))[1])

    decided = at_once([lambda number=number: ask(("user", f"person {number}")) for number in range(MANY)])

    assert all(one.verdict.decision for one in decided), decided
    kept = Decision.objects.filter(pk__in=[uuid.UUID(one.decision_id) for one in decided])
    assert len(kept) == sum(sizes) == MANY
    assert all(replay(one).is_same for one in kept)


def test_a_decision_that_cannot_be_kept_is_no_answer_and_takes_no_other_with_it(
    at_once: AtOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle()
    in_force(READ)
    ask()
    write = decisions.committing._write

    def refuse_one(rows: Any) -> None:
        if any(decisions.open_decision(one).request["subject"]["id"] == "person 3" for one in rows):
            raise DataError("no")
        write(rows)

    monkeypatch.setattr(decisions.committing, "_write", refuse_one)
    decided = at_once([lambda number=number: ask(("user", f"person {number}")) for number in range(8)])
    refused = [number for number, one in enumerate(decided) if isinstance(one, Exception)]
    assert refused == [3]
    assert Decision.objects.count() == 8


def test_of_two_versions_that_are_approved_at_one_moment_the_second_has_to_be_asked_anew(at_once: AtOnce) -> None:
    settle()
    versions = [draft(READ, slug="reading"), draft(READ.replace("read", "write"), slug="reading")]
    asked = [request_activation(version, actor=ADA) for version in versions]

    answers = at_once([lambda one=one: approve(one, actor=BOB) for one in asked])

    codes = [one.code for one in answers if isinstance(one, BrokerError)]
    assert codes == ["approval.changed"]
    active = PolicyVersion.objects.get(state=PolicyVersion.State.ACTIVE)
    latest = PolicySet.objects.order_by("-number").first()
    assert latest is not None
    assert latest.members == {str(active.pk): active.digest}
    assert permits() is (active.number == 1)


def test_versions_of_many_policies_approved_at_one_moment_are_all_in_force(at_once: AtOnce) -> None:
    settle()
    asked = [request_activation(draft(READ, slug=f"policy-{number}"), actor=ADA) for number in range(6)]

    answers = at_once([lambda one=one: approve(one, actor=BOB) for one in asked])

    assert not [one for one in answers if isinstance(one, Exception)]
    latest = PolicySet.objects.order_by("-number").first()
    assert latest is not None
    assert len(latest.members) == 6
    assert len(ask().verdict.reasons) == 6
