"""/api/v1/flows, resources and approvals: a program proposes, operators approve."""

from datetime import timedelta

import pytest
from django.test import Client as DjangoClient
from django.utils import timezone

from broker.actors import SYSTEM, Actor, ActorKind
from broker.console.models import Operator
from broker.console.services import create_operator
from broker.registry.models import Flow
from broker.registry.registering.flow_drafts import approve_alone, propose_flow
from tests.broker.api.calls import make_caller, own_api, pointers, refused
from tests.factories import CLIENT_SECRET, make_flow, make_resource, make_service
from tests.flows.stage import basic

pytestmark = pytest.mark.django_db
NEW = {
    "client": "mirror",
    "grant": "client_credentials",
    "resource": "https://erp.example",
    "scopes": ["invoices.read"],
    "purpose": "Nightly mirror",
    "data_classes": ["invoices"],
    "owner": "mirror@acme.example",
    "expires": (timezone.now() + timedelta(days=300)).date().isoformat(),
}


@pytest.fixture
def api():
    caller = make_caller()
    make_service(client_id="mirror")
    make_resource(identifier="https://erp.example")
    return caller


def token_status():
    answer = DjangoClient().post(
        "/oauth/token",
        "grant_type=client_credentials",
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": basic("mirror", CLIENT_SECRET)},
    )
    return answer.status_code


def test_a_proposed_flow_gives_nothing_until_an_operator_approves_it(api):
    made = api.post("/flows", NEW)
    assert made.status_code == 201
    assert (made.json()["state"], made.json()["approved_by"]) == ("proposed", "")
    assert token_status() == 400
    flow = Flow.objects.get(pk=made.json()["id"])
    approve_alone(flow, approved_by="security@acme.example", actor=SYSTEM)
    assert token_status() == 200
    assert api.get(f"/flows/{flow.pk}").json()["last_used_on"] == timezone.now().date().isoformat()
    path = made["Location"].partition("/api/v1")[2]
    assert api.delete(path, If_Match=api.etag(path)).status_code == 204
    assert token_status() == 400
    assert api.get(path).json()["ended_at"]


def test_what_only_takes_away_is_in_force_at_once_and_what_gives_more_waits(api):
    flow = make_flow(make_service(), make_resource(), scopes=["invoices.read", "invoices.write"])
    path = f"/flows/{flow.pk}"
    narrower = api.patch(path, {"scopes": ["invoices.read"]}, If_Match=api.etag(path))
    assert narrower.json()["state"] == "approved"
    wider = api.patch(path, {"scopes": ["invoices.read", "invoices.write"]}, If_Match=narrower["ETag"])
    assert (wider.json()["state"], wider.json()["approved_by"]) == ("proposed", "")


def test_use_does_not_change_the_tag(api):
    flow = make_flow(make_service(), make_resource())
    before = api.etag(f"/flows/{flow.pk}")
    noon = timezone.now().replace(hour=12, minute=0)
    Flow.objects.filter(pk=flow.pk).update(last_used_at=noon)
    used = api.etag(f"/flows/{flow.pk}")
    assert used != before
    Flow.objects.filter(pk=flow.pk).update(last_used_at=noon + timedelta(hours=3))
    assert api.etag(f"/flows/{flow.pk}") == used


@pytest.mark.parametrize(
    "member", ["approved_by", "state", "id", "is_draft", "proposed_by", "ended_at", "ended_by", "last_used_on"]
)
def test_nobody_approves_by_saying_so(api, member):
    value = {"approved_by": "boss@acme.example", "state": "approved"}.get(member)
    assert refused(answer := api.post("/flows", {**NEW, member: value})) == (400, "api.invalid")
    assert pointers(answer) == [f"/{member}"]
    flow = make_flow(make_service(), make_resource(), state="proposed", approved_by="")
    assert refused(api.patch(f"/flows/{flow.pk}", {member: value}, If_Match="*")) == (400, "api.invalid")
    assert set(Flow.objects.exclude(resource=own_api()).values_list("state", "approved_by")) == {("proposed", "")}


@pytest.mark.parametrize("member", ["client", "grant", "resource"])
def test_a_flow_stays_between_the_same_two(api, member):
    flow = make_flow(make_service(), make_resource())
    assert refused(api.patch(f"/flows/{flow.pk}", {member: NEW[member]}, If_Match="*")) == (400, "api.invalid")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"client": "nobody"}, "/client"),
        ({"resource": "https://nowhere.example"}, "/resource"),
        ({"grant": "password"}, "/grant"),
        ({"scopes": "invoices.read"}, "/scopes"),
        ({"scopes": [{"a": 1}]}, "/scopes/0"),
        ({"scopes": ["x"] * 101}, "/scopes"),
        ({"subject_class": "everybody"}, "/subject_class"),
        ({"owner": "nobody"}, "/owner"),
        ({"expires": "someday"}, "/expires"),
        ({"expires": None}, "/expires"),
        ({"impersonation": 7}, "/impersonation"),
        ({"purpose": ""}, "/purpose"),
        ({"scopes": []}, ""),
        ({"scopes": ["payroll.read"]}, ""),
    ],
)
def test_a_value_that_cannot_be_is_refused_at_its_place(api, change, pointer):
    answer = api.post("/flows", NEW | change)
    assert refused(answer) == (400, "api.invalid")
    assert pointer in pointers(answer)[0]
    assert not Flow.objects.filter(client__client_id="mirror").exists()


def test_a_second_flow_between_the_same_two_is_a_conflict(api):
    assert api.post("/flows", NEW).status_code == 201
    assert refused(api.post("/flows", NEW)) == (409, "api.conflict")


def test_a_flow_of_a_retired_client_is_gone(api):
    made = api.post("/flows", NEW).json()["id"]
    api.delete("/clients/mirror", If_Match="*")
    for method, body in (("GET", None), ("PATCH", {"purpose": "x"}), ("DELETE", None)):
        assert refused(api.send(method, f"/flows/{made}", body, If_Match="*")) == (404, "api.not_found")


@pytest.mark.parametrize("flow_id", ["0", "-1", "one", "9" * 19, "9" * 40, "9" * 5000, "%00"])
def test_a_flow_that_is_not_there_is_not_found(api, flow_id):
    assert refused(api.get(f"/flows/{flow_id}"))[0] == 404


def test_resources_are_read_and_ours_are_among_them(api):
    listed = {item["identifier"]: item for item in api.get("/resources").json()["items"]}
    assert set(listed) == {"http://localhost:8000/access", "http://localhost:8000/api/v1", "https://erp.example"}
    assert refused(api.post("/resources", {"identifier": "https://x.example"})) == (405, "request.method")


def test_approvals_are_read_and_decided_elsewhere(api):
    operator, _ = create_operator("one@acme.example", name="One", role=Operator.Role.OPERATOR, actor=SYSTEM)
    actor = Actor(ActorKind.OPERATOR, operator.email, "", "trace")
    flow = make_flow(make_service(), make_resource(), state="proposed", approved_by="")
    propose_flow(
        flow,
        actor=actor,
        scopes=flow.scopes,
        subject_class="client",
        impersonation=True,
        purpose="p",
        data_classes=["person.contact"],
        owner="o@acme.example",
        expires=flow.expires,
    )
    (shown,) = api.get("/approvals?state=pending").json()["items"]
    assert shown["kind"] == "flow"
    assert "one@acme.example" not in str({name: shown[name] for name in ("title", "state", "kind")})
    assert api.get(f"/approvals/{shown['id']}").json() == shown
    for method in ("POST", "PATCH", "DELETE"):
        refusal = api.send(method, f"/approvals/{shown['id']}", {"state": "approved"}, If_Match="*")
        assert refused(refusal) == (405, "request.method")
    flow.refresh_from_db()
    assert flow.state == "proposed"
