"""The inbox: what waits, what it would change, and the decision, through a browser."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser
from pytest_django import Settings

from broker.actors import Actor, ActorKind
from broker.approvals import services
from broker.approvals.models import Approval
from broker.console.models import Operator
from broker.events.models import Event
from tests.broker.approvals import things

pytestmark = pytest.mark.django_db

LIST = "/admin/approvals/approval/"
MakeOperator = Callable[..., Operator]


@pytest.fixture(autouse=True)
def kind(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> things.Things:
    settings.APPROVAL_HANDLERS = {"thing": "tests.broker.approvals.things.THINGS"}
    fresh = things.Things()
    monkeypatch.setattr(things, "THINGS", fresh)
    return fresh


def asked_by(email: str) -> Approval:
    return services.request_approval(
        "thing",
        subject=("thing", "1"),
        title="The thing in red",
        before={"colour": "blue <b>"},
        after={"colour": "red"},
        actor=Actor(ActorKind.OPERATOR, email),
    )


@pytest.fixture
def asked(console: Browser, make_operator: MakeOperator) -> Approval:
    make_operator("bob@acme.example")
    return asked_by("bob@acme.example")


def page(approval: Approval) -> str:
    return f"{LIST}{approval.pk}/change/"


def listed(console: Browser, address: str) -> list[int]:
    return [row.pk for row in console.get(address).context["cl"].result_list]


def decide(console: Browser, approval: Approval, **form: Any) -> str:
    return console.post(page(approval), form, follow=True).content.decode()


def test_the_inbox_shows_what_waits_for_this_operator(console: Browser, asked: Approval) -> None:
    assert listed(console, LIST) == [asked.pk]
    assert listed(console, f"{LIST}?turn=own") == []

    services.withdraw(asked, actor=Actor(ActorKind.OPERATOR, "bob@acme.example"))
    own = asked_by("ada@acme.example")

    assert listed(console, LIST) == []
    assert listed(console, f"{LIST}?turn=own") == [own.pk]
    assert listed(console, f"{LIST}?turn=pending") == [own.pk]
    assert listed(console, f"{LIST}?turn=all") == [own.pk, asked.pk]


def test_the_page_shows_before_and_after_and_who_asked(console: Browser, asked: Approval) -> None:
    text = console.get(page(asked)).content.decode()

    assert "blue &lt;b&gt;" in text
    assert "<b>red</b>" in text
    assert "bob@acme.example" in text
    assert 'value="approve"' in text
    assert 'value="withdraw"' not in text


def test_an_operator_approves(console: Browser, asked: Approval, kind: things.Things) -> None:
    text = decide(console, asked, decision="approve", reason="")

    assert "The thing in red is approved and in force." in text
    assert kind.active == [("1", "bob@acme.example", "ada@acme.example")]


def test_an_operator_refuses_with_a_reason(console: Browser, asked: Approval, kind: things.Things) -> None:
    assert "Say why" in decide(console, asked, decision="refuse", reason=" ")
    assert kind.refused == []

    decide(console, asked, decision="refuse", reason="too wide")
    assert kind.refused == ["1"]
    assert "too wide" in console.get(page(asked)).content.decode()


def test_ones_own_can_be_withdrawn_and_not_approved(console: Browser, kind: things.Things) -> None:
    own = asked_by("ada@acme.example")
    assert 'value="approve"' not in console.get(page(own)).content.decode()

    assert "Nobody approves what they asked for." in decide(console, own, decision="approve")
    assert Event.objects.filter(type="approval.denied", code="approval.own").exists()

    assert "is withdrawn" in decide(console, own, decision="withdraw")
    assert kind.active == []


@pytest.mark.parametrize("decision", ["", "expire", "__class__"])
def test_what_is_no_decision_decides_nothing(console: Browser, asked: Approval, decision: str) -> None:
    assert "Choose what shall become of it." in decide(console, asked, decision=decision)
    asked.refresh_from_db()
    assert asked.state == "pending"


def test_a_viewer_reads_and_decides_nothing(viewer_console: Browser, make_operator: MakeOperator) -> None:
    make_operator("bob@acme.example")
    approval = asked_by("bob@acme.example")

    assert 'name="decision"' not in viewer_console.get(page(approval)).content.decode()
    assert viewer_console.post(page(approval), {"decision": "approve"}).status_code == 403
    approval.refresh_from_db()
    assert approval.state == "pending"


@pytest.mark.parametrize("path", ["999/change/", "x/change/", "add/"])
def test_what_does_not_exist_is_not_shown(console: Browser, path: str) -> None:
    assert console.get(LIST + path).status_code in {403, 404}


def test_nobody_decides_without_signing_in(client: Browser, make_operator: MakeOperator) -> None:
    make_operator("bob@acme.example")
    approval = asked_by("bob@acme.example")

    assert client.post(page(approval), {"decision": "approve"}).status_code == 302
    approval.refresh_from_db()
    assert approval.state == "pending"
