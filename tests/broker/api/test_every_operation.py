"""Each operation of the document is called once with success, and its answer has the document's shape."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from broker.access.models import Decision
from broker.actors import SYSTEM, Actor, ActorKind
from broker.api.document import document
from broker.approvals.services import request_approval
from broker.console.models import Operator
from broker.console.services import create_operator
from broker.delivery.enqueueing import NewDelivery, enqueue
from broker.directory.services import deactivate_person
from broker.events.reading import read_notices
from broker.registry.models import Flow
from broker.registry.registering.flows import APPROVAL_KIND
from broker.tokens.models import Grant
from tests.broker.access.policies import activate
from tests.broker.api import calls
from tests.broker.directory.sources import HR, LOGIN, say
from tests.factories import CLIENT_SECRET, make_flow, make_person, make_resource, make_service
from tests.flows.stage import basic

pytestmark = pytest.mark.django_db


def test_every_operation_answers_as_the_document_says():
    activate("permit (principal, action, resource);")
    api = calls.make_caller()
    calls.COVERED.clear()
    resource = make_resource()
    _call_clients(api)
    _call_flows(api, resource.identifier)
    _call_approvals(api)
    _call_decisions(api)
    _call_people(api)
    _call_leavers(api)
    _call_deliveries(api)
    api.get("/resources")
    grant = Grant.objects.get(client=api.client)
    api.get("/grants")
    api.get(f"/grants/{grant.pk}")
    api.delete(f"/grants/{grant.pk}")
    described = document(settings.BROKER_BASE_URL)["paths"].values()
    assert {one["operationId"] for methods in described for one in methods.values()} == calls.COVERED


def _call_clients(api):
    api.get("/clients")
    api.post("/clients", {"client_id": "mirror", "owner": "mirror@acme.example"})
    api.patch("/clients/mirror", {"enabled": True}, If_Match=api.etag("/clients/mirror"))
    secret = api.post("/clients/mirror/secrets").json()["id"]
    api.get("/clients/mirror/secrets")
    api.delete(f"/clients/mirror/secrets/{secret}")
    api.delete("/clients/mirror", If_Match="*")


def _call_leavers(api):
    person = make_person()
    deactivate_person(person, reason="left", actor=SYSTEM)
    read_notices()
    (shown,) = api.get("/leavers").json()["items"]
    api.get(f"/leavers/{shown['id']}")
    api.get(f"/leavers/{shown['id']}/export")


def _call_deliveries(api):
    (row,) = enqueue("webhook", [NewDelivery("webhook:1", "event:1")], actor=SYSTEM)
    api.get("/deliveries")
    path = f"/deliveries/{row.pk}"
    api.get(path)
    api.patch(path, {"decision": "write_off", "reason": "gone"}, If_Match=api.etag(path))


def _call_flows(api, resource):
    make_service(client_id="erp-mirror")
    sent = {
        "client": "erp-mirror",
        "grant": "client_credentials",
        "resource": resource,
        "scopes": ["invoices.read"],
        "purpose": "Nightly mirror",
        "owner": "mirror@acme.example",
        "expires": (timezone.now() + timedelta(days=300)).date().isoformat(),
    }
    made = api.post("/flows", sent).json()["id"]
    api.get("/flows")
    api.patch(f"/flows/{made}", {"purpose": "Hourly mirror"}, If_Match=api.etag(f"/flows/{made}"))
    api.delete(f"/flows/{made}", If_Match="*")


def _call_approvals(api):
    flow = make_flow(make_service(), make_resource(), state=Flow.State.PROPOSED, approved_by="")
    create_operator("one@acme.example", name="One", role=Operator.Role.OPERATOR, actor=SYSTEM)
    actor = Actor(ActorKind.OPERATOR, "one@acme.example", "", "trace")
    approval = request_approval(
        APPROVAL_KIND, subject=("flow", flow.pk), title="Flow", before={}, after={"purpose": "x"}, actor=actor
    )
    api.get("/approvals")
    api.get(f"/approvals/{approval.pk}")


def _call_people(api):
    person = make_person()
    say(HR, person, title="Engineer")
    say(LOGIN, person, title="Wizard")
    api.get("/people")
    api.get(f"/people/{person.pk}")
    api.get(f"/people/{person.pk}/attributes")
    (conflict,) = api.get("/conflicts").json()["items"]
    path = f"/conflicts/{conflict['id']}"
    api.patch(path, {"decision": "keep"}, If_Match=api.etag(path))
    api.get("/authority/simulation?attribute=title&sources=idp:*")
    begins = (timezone.now() + timedelta(days=1)).isoformat()
    sent = {"attribute": "title", "sources": ["idp:*"], "valid_from": begins, "would_change": 1}
    made = api.post("/authority/rules", sent).json()["id"]
    api.get("/authority/rules")
    path = f"/authority/rules/{made}"
    api.delete(path, If_Match=api.etag(path))


def _call_decisions(api):
    make_service(client_id="gateway")
    question = {"subject": {"type": "user", "id": "a"}, "action": {"name": "b"}, "resource": {"type": "c", "id": "d"}}
    headers = {"Authorization": basic("gateway", CLIENT_SECRET)}
    api.http.post("/access/v1/evaluation", question, content_type="application/json", headers=headers)
    api.get("/decisions")
    api.get(f"/decisions/{Decision.objects.get().pk}")
