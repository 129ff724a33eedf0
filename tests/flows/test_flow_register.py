"""A running estate moves into the register: observed, proposed by what it asks, approved by two humans, enforced."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.test import Client as Browser
from django.utils import timezone

from broker.approvals.models import Approval
from broker.console.models import Operator
from broker.events.models import Event
from broker.keys.ring import ring
from broker.registry.cache import raise_version
from broker.registry.models import Client, Flow, FlowEvidence, Resource
from tests.broker.console.conftest import make_operator, sign_in
from tests.broker.tokens.desk import basic, lay_out_keys, post_form
from tests.factories import CLIENT_SECRET, make_resource, make_service

__all__ = ["make_operator", "sign_in"]

pytestmark = pytest.mark.django_db

MakeOperator = Callable[..., Operator]


class Estate:
    """An integration that nobody registered a flow for, and two operators at the console."""

    def __init__(self, make_operator: MakeOperator, sign_in: Callable[..., object]) -> None:
        lay_out_keys()
        self.service: Client = make_service(client_id="nightly", enforcement="observe")
        self.resource: Resource = make_resource(identifier="https://erp.example/api")
        self.ada, self.bob = Browser(), Browser()
        for name, browser in (("ada", self.ada), ("bob", self.bob)):
            make_operator(f"{name}@acme.example")
            sign_in(f"{name}@acme.example", browser=browser)

    def ask(self, scope: str = "invoices.read") -> Any:
        fields = {"grant_type": "client_credentials", "resource": self.resource.identifier, "scope": scope}
        return post_form("/oauth/token", fields, authorization=basic("nightly", CLIENT_SECRET))

    def set(self, mode: str) -> None:
        Client.objects.filter(pk=self.service.pk).update(enforcement=mode)
        raise_version()

    def introspect(self, token: str) -> bool:
        self.resource.introspectors.set([self.service])
        raise_version()
        answer = post_form("/oauth/introspect", {"token": token}, authorization=basic("nightly", CLIENT_SECRET))
        return bool(answer.json()["active"])


@pytest.fixture
def estate(make_operator: MakeOperator, sign_in: Callable[..., object]) -> Any:
    yield Estate(make_operator, sign_in)
    ring.forget()


def wish(**fields: Any) -> dict[str, Any]:
    return {
        "scopes": ["invoices.read"],
        "subject_class": "client",
        "purpose": "Nightly invoice mirror",
        "data_classes": "personal",
        "owner": "integration@acme.example",
        "expires": str((timezone.now() + timedelta(days=20)).date()),
    } | fields


def decide(browser: Browser, decision: str) -> str:
    address = f"/admin/approvals/approval/{Approval.objects.latest('pk').pk}/change/"
    return browser.post(address, {"decision": decision, "reason": "because"}, follow=True).content.decode()


def test_an_integration_moves_from_observed_to_enforced(estate: Estate) -> None:
    # Observed: it gets what it asks for, and its asking is the first draft of a flow.
    first = estate.ask()
    assert (first.status_code, first.json()["scope"]) == (200, "invoices.read")
    assert "Countersign-Flow" not in first
    draft = Flow.objects.get()
    assert (draft.is_draft, draft.evidence.get().enforcement) == (True, "observe")

    # Warned: the same, and it is told.
    estate.set("warn")
    assert estate.ask()["Countersign-Flow"] == "outside-flow"

    # Enforced: refused with a stable code.
    estate.set("enforce")
    refused = estate.ask()
    assert (refused.status_code, refused.json()["code"]) == (400, "flow.none")

    # Two humans make it a flow.
    estate.ada.post(f"/admin/registry/flow/{draft.pk}/propose/", wish())
    assert estate.ask().status_code == 400
    assert "Nobody approves" in decide(estate.ada, "approve")
    assert estate.ask().status_code == 400
    assert "in force" in decide(estate.bob, "approve")

    allowed = estate.ask()
    assert (allowed.status_code, allowed["Countersign-Flow"]) == (200, f"flow-ends={wish()['expires']}")
    flow = Flow.objects.get()
    assert (flow.proposed_by, flow.approved_by) == ("ada@acme.example", "bob@acme.example")
    assert flow.last_used_at is not None
    assert estate.ask("invoices.write").json()["code"] == "flow.scope"

    # Ended: nothing more is issued, and what was issued is dead.
    token = allowed.json()["access_token"]
    assert estate.introspect(token)
    estate.bob.post(f"/admin/registry/flow/{flow.pk}/end/")
    assert estate.ask().json()["code"] == "flow.ended"
    assert not estate.introspect(token)
    book = list(Event.objects.filter(type__regex="^(flow|approval)").order_by("id").values_list("type", flat=True))
    assert book == [
        "flow.proposed",
        "approval.requested",
        "approval.denied",
        "approval.approved",
        "flow.proposed",
        "flow.ended",
    ]


def test_an_end_is_noticed_before_it_comes(estate: Estate) -> None:
    estate.set("enforce")
    estate.ask()
    flow = Flow.objects.get()
    estate.ada.post(f"/admin/registry/flow/{flow.pk}/propose/", wish(data_classes="invoices"))
    estate.ada.post(f"/admin/registry/flow/{flow.pk}/approve/")
    ends_at = Flow.objects.get().ends_at
    assert ends_at is not None

    with time_machine.travel(ends_at - timedelta(hours=2), tick=False):
        dark = estate.ask()
        assert (dark.status_code, dark.json()["code"]) == (400, "flow.browned_out")
    with time_machine.travel(ends_at - timedelta(hours=2, minutes=-5), tick=False):
        assert estate.ask().status_code == 200
    with time_machine.travel(ends_at - timedelta(minutes=2), tick=False):
        assert estate.ask().json()["expires_in"] == 120
    with time_machine.travel(ends_at, tick=False):
        assert estate.ask().json()["code"] == "flow.ended"


def test_the_refusal_says_nothing_of_other_flows(estate: Estate) -> None:
    estate.set("enforce")

    text = estate.ask("invoices.read invoices.write").content.decode()

    assert "nightly" not in text
    assert "invoices" not in text


def test_a_stranger_proposes_nothing(estate: Estate) -> None:
    fields = {"grant_type": "client_credentials", "resource": estate.resource.identifier}
    for secret in ("", "wrong", CLIENT_SECRET + "x"):
        assert post_form("/oauth/token", fields, authorization=basic("nightly", secret)).status_code in {400, 401}

    assert not FlowEvidence.objects.exists()
    assert not Flow.objects.exists()


def test_the_export_tells_who_authorised_what(estate: Estate, capsys: pytest.CaptureFixture[str]) -> None:
    estate.ask()
    flow = Flow.objects.get()
    estate.ada.post(f"/admin/registry/flow/{flow.pk}/propose/", wish())
    decide(estate.bob, "approve")

    call_command("export_flows", "--format", "json")

    (client,) = json.loads(capsys.readouterr().out)["clients"]
    (told,) = client["flows"]
    assert (told["proposed_by"], told["approved_by"]) == ("ada@acme.example", "bob@acme.example")
    assert told["marks"] == ["not used for 90 days", "asked for more"]
