"""The way of a flow through the console: asked for, completed, proposed, approved by another human, ended."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from broker.actors import SYSTEM, Actor, ActorKind
from broker.approvals.models import Approval
from broker.console.models import Operator
from broker.errors import BrokerError
from broker.events.models import Event
from broker.registry.flows import FlowQuestion, Permit, permit
from broker.registry.models import Client, Flow, FlowEvidence, Resource
from broker.registry.registering.flow_drafts import approve_alone, approve_flow, refuse_flow
from broker.registry.values import BadValue
from broker.traces.collector import Collector
from tests.factories import make_flow, make_resource, make_service

pytestmark = pytest.mark.django_db

LIST = "/admin/registry/flow/"
READ, WRITE = "invoices.read", "invoices.write"
MakeOperator = Callable[..., Operator]


@pytest.fixture
def service() -> Client:
    return make_service(client_id="nightly", enforcement="enforce")


@pytest.fixture
def resource() -> Resource:
    return make_resource(identifier="https://erp.example/api")


@pytest.fixture
def bob(make_operator: MakeOperator, sign_in: Callable[..., object]) -> Browser:
    """A second operator's browser."""
    browser = Browser()
    make_operator("bob@acme.example")
    sign_in("bob@acme.example", browser=browser)
    return browser


def ask(service: Client, resource: Resource, *scopes: str) -> Permit:
    question = FlowQuestion(
        client=service,
        grant="client_credentials",
        resource=resource,
        scopes=scopes,
        subject_class=Flow.SubjectClass.CLIENT,
        now=timezone.now(),
    )
    return permit(question, actor=Actor(ActorKind.CLIENT, "nightly", address="192.0.2.7"), trace=Collector())


def refused(service: Client, resource: Resource, *scopes: str) -> str:
    with pytest.raises(BrokerError) as caught:
        ask(service, resource, *scopes)
    return caught.value.code


def wish(**fields: Any) -> dict[str, Any]:
    return {
        "scopes": [READ],
        "subject_class": "client",
        "purpose": "Nightly invoice mirror",
        "data_classes": "invoices",
        "owner": "integration@acme.example",
        "expires": f"{timezone.now().year + 1}-12-31",
    } | fields


def page(flow: Flow, action: str = "change") -> str:
    return f"{LIST}{flow.pk}/{action}/"


def text(answer: Any) -> str:
    return str(answer.content.decode())


def post(browser: Browser, address: str, **form: Any) -> str:
    return text(browser.post(address, form, follow=True))


def test_what_a_client_asked_for_is_completed_and_approved(
    console: Browser, service: Client, resource: Resource
) -> None:
    assert refused(service, resource, READ) == "flow.none"
    draft = Flow.objects.get()
    shown = text(console.get(page(draft)))
    assert "nightly asked for this, and no flow allows it" in shown
    assert "192.0.2.7" in shown
    assert "Approve</button>" not in shown.replace("\n", "")

    assert "It can be approved now." in post(console, page(draft, "propose"), **wish())
    assert refused(service, resource, READ) == "flow.none"
    assert "It is approved and in force." in post(console, page(draft, "approve"))

    assert ask(service, resource, READ).flow_id == draft.pk
    flow = Flow.objects.get()
    assert (flow.proposed_by, flow.approved_by, flow.is_draft) == ("ada@acme.example", "ada@acme.example", False)
    assert FlowEvidence.objects.get().flow_id == flow.pk


def test_people_s_data_waits_for_a_second_human(
    console: Browser, bob: Browser, service: Client, resource: Resource
) -> None:
    refused(service, resource, READ)
    draft = Flow.objects.get()

    answer = post(console, page(draft, "propose"), **wish(data_classes="personal contact"))
    assert "It waits for a second operator now." in answer
    approval = Approval.objects.get()
    assert (approval.requested_by.email, approval.after["data classes"]) == ("ada@acme.example", "personal contact")
    assert "a second operator approves it" in post(console, page(draft, "approve"))
    assert "Nobody approves" in post(console, f"/admin/approvals/approval/{approval.pk}/change/", decision="approve")
    assert refused(service, resource, READ) == "flow.none"

    assert "in force" in post(bob, f"/admin/approvals/approval/{approval.pk}/change/", decision="approve")

    flow = Flow.objects.get()
    assert (flow.state, flow.proposed_by, flow.approved_by) == ("approved", "ada@acme.example", "bob@acme.example")
    assert ask(service, resource, READ).flow_id == flow.pk


def test_a_flow_goes_on_while_its_widening_waits(
    console: Browser, bob: Browser, service: Client, resource: Resource
) -> None:
    flow = make_flow(service, resource, data_classes=["personal"])
    assert refused(service, resource, WRITE) == "flow.scope"
    draft = Flow.objects.get(is_draft=True)
    form = console.get(page(draft, "propose")).context["form"]
    assert (form.initial["scopes"], form.initial["owner"]) == ([READ, WRITE], "integration@acme.example")

    post(console, page(draft, "propose"), **wish(scopes=[READ, WRITE], data_classes="personal"))
    approval = Approval.objects.get()
    assert (approval.before["scopes"], approval.after["scopes"]) == (READ, f"{READ} {WRITE}")
    assert ask(service, resource, READ).flow_id == flow.pk
    assert refused(service, resource, WRITE) == "flow.scope"

    post(bob, f"/admin/approvals/approval/{approval.pk}/change/", decision="approve")

    assert ask(service, resource, READ, WRITE).flow_id == flow.pk
    assert Flow.objects.get() == flow
    assert FlowEvidence.objects.get().flow_id == flow.pk


def test_a_widening_is_asked_anew_when_the_flow_it_replaces_changed_meanwhile(
    console: Browser, bob: Browser, service: Client, resource: Resource
) -> None:
    flow = make_flow(service, resource, data_classes=["personal"])
    post(console, page(flow, "propose"), **wish(scopes=[READ, WRITE], data_classes="personal"))
    approval = Approval.objects.get()
    Flow.objects.filter(pk=flow.pk).update(scopes=[])

    answer = post(bob, f"/admin/approvals/approval/{approval.pk}/change/", decision="approve")

    assert "has changed since it was asked for" in answer
    flow.refresh_from_db()
    assert flow.scopes == []


def test_a_flow_is_ended_at_once_and_comes_back_only_approved(
    console: Browser, service: Client, resource: Resource
) -> None:
    flow = make_flow(service, resource)
    assert ask(service, resource, READ).flow_id == flow.pk
    assert "whatever the client" in text(console.get(page(flow, "end")))
    assert ask(service, resource, READ).flow_id == flow.pk

    assert "It has ended" in post(console, page(flow, "end"))
    assert refused(service, resource, READ) == "flow.ended"
    assert '<span class="cs-bad">Ended</span>' in text(console.get(LIST))
    assert '<h2 id="flow">Ended</h2>' in text(console.get(page(flow, "change")))
    flow.refresh_from_db()
    assert flow.ended_by == "ada@acme.example"

    post(console, page(flow, "propose"), **wish())
    assert refused(service, resource, READ) == "flow.ended"
    post(console, page(Flow.objects.get(is_draft=True), "approve"))
    assert ask(service, resource, READ).flow_id == flow.pk


def test_a_refused_proposal_is_not_proposed_again(console: Browser, service: Client, resource: Resource) -> None:
    refused(service, resource, READ)
    draft = Flow.objects.get()

    assert "It is refused" in post(console, page(draft, "refuse"))

    assert refused(service, resource, READ) == "flow.none"
    assert Flow.objects.get().state == "refused"
    assert Event.objects.filter(type="flow.proposed").count() == 1
    assert "cannot be refused" in post(console, page(draft, "refuse"))


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("scopes", ["admin"], "not one of the available choices"),
        ("scopes", [], "required"),
        ("owner", "nobody", "valid email"),
        ("purpose", "", "required"),
        ("data_classes", " ", "required"),
        ("expires", "tomorrow", "valid date"),
        ("subject_class", "robot", "Select a valid choice"),
    ],
)
def test_an_incomplete_wish_proposes_nothing(
    console: Browser, service: Client, resource: Resource, field: str, value: Any, complaint: str
) -> None:
    refused(service, resource, READ)
    draft = Flow.objects.get()

    assert complaint in post(console, page(draft, "propose"), **wish(**{field: value}))

    draft.refresh_from_db()
    assert (draft.owner, draft.proposed_by) == ("", "nightly")


def test_a_draft_that_nobody_completed_cannot_be_approved(
    console: Browser, service: Client, resource: Resource
) -> None:
    refused(service, resource, READ)
    draft = Flow.objects.get()

    assert "a flow needs its owner, purpose, expires" in post(console, page(draft, "approve"))
    with pytest.raises(BadValue):
        approve_flow(draft, proposed_by="a@acme.example", approved_by="b@acme.example", actor=SYSTEM)


def test_what_is_approved_is_neither_approved_nor_refused_again(service: Client, resource: Resource) -> None:
    flow = make_flow(service, resource)

    with pytest.raises(BadValue):
        approve_alone(flow, approved_by="b@acme.example", actor=SYSTEM)
    with pytest.raises(BadValue):
        refuse_flow(flow, actor=SYSTEM)


@pytest.mark.parametrize("action", ["propose", "approve", "refuse", "end"])
def test_a_viewer_sees_flows_and_decides_nothing(
    viewer_console: Browser, service: Client, resource: Resource, action: str
) -> None:
    flow = make_flow(service, resource)
    shown = text(viewer_console.get(page(flow)))

    assert "Nightly invoice mirror" in shown
    assert "End now" not in shown
    assert viewer_console.get(page(flow, action)).status_code == 403
    assert viewer_console.post(page(flow, action), wish()).status_code == 403
    assert Flow.objects.get().ended_at is None


@pytest.mark.parametrize("path", ["999/change/", "x/change/", "999/end/", "add/"])
def test_what_does_not_exist_is_not_shown(console: Browser, path: str) -> None:
    assert console.get(LIST + path).status_code in {403, 404}


@pytest.mark.parametrize("standing", ["", "asked", "ending", "ended", "unused"])
def test_the_list_can_be_narrowed(console: Browser, service: Client, resource: Resource, standing: str) -> None:
    make_flow(service, resource)
    make_flow(service, resource, grant="token_exchange", expires=date(2026, 1, 1))
    refused(service, resource, WRITE)

    rows = console.get(LIST, {"standing": standing} if standing else {}).context["cl"].result_list

    assert len(rows) == {"": 3, "asked": 1, "ending": 0, "ended": 1, "unused": 1}[standing]
