"""/flows: what may get which token for what. Here a flow is proposed; operators approve it in the console."""

from datetime import UTC
from typing import Any

from django.db import transaction
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.api.base import READ, WRITE, Input, Shown, View
from broker.api.idempotence import answer_once
from broker.api.paging import Order, answer_page
from broker.api.parameters import IDEMPOTENCY_KEY, IF_MATCH, page_of, page_parameters
from broker.api.preconditions import check_match
from broker.api.problems import Problem
from broker.registry.models import Client, Flow, Resource
from broker.registry.registering.changes import hold_registry
from broker.registry.registering.flow_drafts import end_flow
from broker.registry.registering.flows import change_flow, create_flow

SHOWN = ("id", "grant", "scopes", "subject_class", "impersonation", "purpose", "data_classes", "owner")
STATE = ("state", "approved_by", "expires", "proposed_by", "is_draft", "ended_at")
FILTERS = {
    "client": "client__client_id",
    "resource": "resource__identifier",
    "grant": "grant",
    "state": "state",
    "owner": "owner",
}


class FlowChange(Input):
    """What can be proposed of a flow. A change that gives more makes it a proposal again."""

    scopes = serializers.ListField(child=serializers.CharField(max_length=200), max_length=100, required=False)
    subject_class = serializers.ChoiceField(Flow.SubjectClass.choices, required=False)
    impersonation = serializers.BooleanField(required=False)
    purpose = serializers.CharField(max_length=300, required=False)
    data_classes = serializers.ListField(child=serializers.CharField(max_length=100), max_length=50, required=False)
    owner = serializers.EmailField(required=False)
    expires = serializers.DateField(required=False, help_text="its last day, in UTC")


class FlowInput(FlowChange):
    """A flow that is proposed."""

    client = serializers.CharField(max_length=200, help_text="client_id")
    grant = serializers.ChoiceField(Flow.Grant.choices)
    resource = serializers.CharField(max_length=512, help_text="identifier")
    scopes = serializers.ListField(child=serializers.CharField(max_length=200), max_length=100)
    purpose = serializers.CharField(max_length=300)
    owner = serializers.EmailField()
    expires = serializers.DateField(help_text="its last day, in UTC")


class FlowShown(Shown, FlowInput):
    """A flow as it is."""

    id = serializers.IntegerField()
    scopes = serializers.ListField(child=serializers.CharField())
    purpose = serializers.CharField(allow_blank=True)
    owner = serializers.EmailField(allow_blank=True)
    expires = serializers.DateField(allow_null=True)
    state = serializers.ChoiceField(Flow.State.choices)
    approved_by = serializers.CharField(allow_blank=True)
    proposed_by = serializers.CharField(allow_blank=True)
    is_draft = serializers.BooleanField(help_text="only a request asked for it; it waits for its owner and purpose")
    ended_at = serializers.DateTimeField(allow_null=True)
    last_used_on = serializers.DateField(allow_null=True, help_text="in UTC; its time would change the ETag all day")


def show_flow(flow: Flow) -> dict[str, Any]:
    """A flow as a caller sees it."""
    shown = {
        "client": flow.client.client_id,
        "resource": flow.resource.identifier,
        "last_used_on": flow.last_used_at.astimezone(UTC).date() if flow.last_used_at else None,
    }
    return shown | {name: getattr(flow, name) for name in (*SHOWN, *STATE)}


class Flows(View):
    """The flow register."""

    scopes = {"GET": READ, "POST": WRITE}
    filters = FILTERS

    @extend_schema(parameters=page_parameters(FILTERS), responses=page_of(FlowShown))
    def get(self, request: Request) -> Response:
        """List flows, the proposed ones too."""
        rows = Flow.objects.select_related("client", "resource").filter(client__retired_at=None)
        return answer_page(rows, request, order=Order(("id",)), filters=FILTERS, represent=show_flow)

    @extend_schema(request=FlowInput, responses={201: FlowShown}, parameters=[IDEMPOTENCY_KEY])
    def post(self, request: Request) -> Response:
        """Propose a flow. Nothing is issued by it until an operator approves it."""

        def propose() -> tuple[int, dict[str, Any], dict[str, Any]]:
            sent = FlowInput.of(request)
            hold_registry()
            client = Client.objects.filter(client_id=sent.pop("client"), retired_at=None).first()
            resource = Resource.objects.filter(identifier=sent.pop("resource")).first()
            if client is None or resource is None:
                missing = [name for name, row in (("client", client), ("resource", resource)) if row is None]
                raise Problem(
                    "api.invalid", errors=tuple((f"/{name}", "There is none of this name.") for name in missing)
                )
            grant = sent.pop("grant")
            if Flow.objects.filter(client=client, resource=resource, grant=grant, is_draft=False).exists():
                raise Problem("api.conflict", errors=(("", "There is a flow of this client, grant and resource."),))
            flow = create_flow(client, grant=grant, resource=resource, actor=self.actor, **sent)
            return 201, show_flow(flow), {}

        return answer_once(request, propose, name="id")


class OneFlow(View):
    """One flow."""

    scopes = {"GET": READ, "PATCH": WRITE, "DELETE": WRITE}

    @extend_schema(responses=FlowShown)
    def get(self, request: Request, flow_id: int) -> Response:  # noqa: ARG002 - DRF's signature
        """Show a flow."""
        return self.one(show_flow(_find(flow_id)))

    @extend_schema(request=FlowChange, responses=FlowShown, parameters=[IF_MATCH])
    def patch(self, request: Request, flow_id: int) -> Response:
        """Change what is sent: what only takes away is in force at once; anything else makes it a proposal again.

        Nothing more is issued by a proposal until an operator approves it.
        """
        with transaction.atomic():
            flow = _hold(flow_id)
            check_match(request, show_flow(flow))
            changed = change_flow(flow, actor=self.actor, **FlowChange.of(request))
            return self.one(show_flow(changed))

    @extend_schema(responses={204: None}, parameters=[IF_MATCH])
    def delete(self, request: Request, flow_id: int) -> Response:
        """End a flow now: its tokens end with it. The register keeps it, and who ended it."""
        with transaction.atomic():
            flow = _hold(flow_id)
            check_match(request, show_flow(flow))
            end_flow(flow, actor=self.actor)
        return Response(status=204)


def _find(flow_id: int) -> Flow:
    return get_object_or_404(Flow.objects.select_related("client", "resource"), pk=flow_id, client__retired_at=None)


def _hold(flow_id: int) -> Flow:
    hold_registry()
    return _find(flow_id)
