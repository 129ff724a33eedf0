"""/resources and /approvals: read only; both are settled by operators."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.api.base import READ, Shown, View
from broker.api.paging import Order, answer_page
from broker.api.parameters import page_of, page_parameters
from broker.approvals.models import Approval
from broker.registry.models import Resource

FILTERS = {"state": "state", "kind": "kind"}


class ResourceShown(Shown):
    """An API for which access tokens are issued."""

    identifier = serializers.CharField()
    scopes = serializers.DictField(child=serializers.CharField())
    token_algorithm = serializers.ChoiceField(Resource.Algorithm.choices)
    token_lifetime = serializers.IntegerField(help_text="seconds")
    introspectors = serializers.ListField(child=serializers.CharField(), help_text="client_ids")


class ApprovalShown(Shown):
    """Something that waits for a second operator, or waited."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(Approval.State.choices)
    before = serializers.DictField()
    after = serializers.DictField()
    requested_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)


def show_resource(resource: Resource) -> dict[str, Any]:
    """A resource as a caller sees it."""
    shown = {name: getattr(resource, name) for name in ("identifier", "scopes", "token_algorithm", "token_lifetime")}
    return shown | {"introspectors": sorted(client.client_id for client in resource.introspectors.all())}


def show_approval(approval: Approval) -> dict[str, Any]:
    """An approval as a caller sees it; who the operators are stays in the console."""
    return {str(name): getattr(approval, str(name)) for name in ApprovalShown().fields}


class Resources(View):
    """The APIs."""

    scopes = {"GET": READ}
    filters = {}

    @extend_schema(parameters=page_parameters(()), responses=page_of(ResourceShown))
    def get(self, request: Request) -> Response:
        """List resources with their scopes."""
        rows = Resource.objects.prefetch_related("introspectors")
        return answer_page(rows, request, order=Order(("identifier",)), filters={}, represent=show_resource)


class Approvals(View):
    """What waits for a second operator."""

    scopes = {"GET": READ}
    filters = FILTERS

    @extend_schema(parameters=page_parameters(FILTERS), responses=page_of(ApprovalShown))
    def get(self, request: Request) -> Response:
        """List approvals, the newest first. They are decided in the console."""
        order = Order(("id",), descending=True)
        return answer_page(Approval.objects.all(), request, order=order, filters=FILTERS, represent=show_approval)


class OneApproval(View):
    """One of them."""

    scopes = {"GET": READ}

    @extend_schema(responses=ApprovalShown)
    def get(self, request: Request, approval_id: int) -> Response:  # noqa: ARG002 - DRF's signature
        """Show an approval."""
        return self.one(show_approval(get_object_or_404(Approval, pk=approval_id)))
