"""One proposal for one kind of request, and one decision for one question, however many come at one moment."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone

from broker.actors import SYSTEM, Actor, ActorKind
from broker.approvals.models import Approval
from broker.approvals.services import approve, request_approval
from broker.console.models import Operator
from broker.errors import BrokerError
from broker.events.models import Event
from broker.registry.flow_endings import tell_endings
from broker.registry.flow_evidence import EvidenceMemory
from broker.registry.flows import FlowQuestion
from broker.registry.models import Flow, FlowEvidence
from broker.registry.registering.flows import ask_for_approval
from tests.factories import make_flow, make_resource, make_service

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
AtOnce = Callable[[list[Callable[[], Any]]], list[Any]]
MANY = 10


def operator(name: str) -> Actor:
    email = f"{name}@acme.example"
    Operator.objects.create(email=email, name=name, role="operator", created_at=timezone.now())
    return Actor(ActorKind.OPERATOR, email)


def test_one_kind_that_many_processes_see_first_is_proposed_once(at_once: AtOnce) -> None:
    question = FlowQuestion(
        client=make_service(),
        grant="client_credentials",
        resource=make_resource(),
        scopes=("invoices.read",),
        subject_class=Flow.SubjectClass.CLIENT,
        now=timezone.now(),
    )

    def note() -> None:
        EvidenceMemory().note(question, None, code="flow.none", actor=SYSTEM)

    assert at_once([note] * MANY) == [None] * MANY

    assert Flow.objects.count() == 1
    assert FlowEvidence.objects.get().count == MANY
    assert Event.objects.filter(type="flow.proposed").count() == 1


def test_one_question_that_many_operators_answer_is_decided_once(at_once: AtOnce) -> None:
    flow = make_flow(make_service(), make_resource(), state="proposed", data_classes=["personal"])
    approval = ask_for_approval(flow, before={}, actor=operator("ada"))
    others = [operator(f"operator{number}") for number in range(MANY)]

    answers = at_once([lambda actor=actor: approve(approval, actor=actor) for actor in others])

    lost = [answer for answer in answers if isinstance(answer, BrokerError)]
    assert (len(lost), {error.code for error in lost}) == (MANY - 1, {"approval.decided"})
    assert Event.objects.filter(type="approval.approved").count() == 1
    assert Flow.objects.get().state == "approved"


def test_one_thing_that_many_operators_ask_for_is_asked_for_once(at_once: AtOnce) -> None:
    flow = make_flow(make_service(), make_resource(), state="proposed", data_classes=["personal"])
    actors = [operator(f"operator{number}") for number in range(MANY)]

    answers = at_once(
        [
            lambda actor=actor: request_approval("flow", subject=("flow", flow.pk), title="x", after={}, actor=actor)
            for actor in actors
        ]
    )

    assert sum(isinstance(answer, Approval) for answer in answers) == 1
    assert {answer.code for answer in answers if isinstance(answer, BrokerError)} == {"approval.pending"}
    assert Approval.objects.count() == 1


def test_two_schedulers_tell_an_end_once(at_once: AtOnce) -> None:
    make_flow(make_service(), make_resource(), expires=datetime(2027, 1, 31, tzinfo=UTC).date())
    now = datetime(2027, 1, 20, tzinfo=UTC)

    assert sum(at_once([lambda: tell_endings(now=now, actor=SYSTEM)] * MANY)) == 1
    assert Event.objects.filter(type="flow.ending").count() == 1
