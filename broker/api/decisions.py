"""/decisions: what was decided, by what, and since when; read only."""

import uuid
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.models import Decision
from broker.api.base import Shown, View
from broker.api.paging import Order, answer_page
from broker.api.parameters import page_of, page_parameters

READ_DECISIONS = "decisions.read"
FILTERS = {name: name for name in ("caller", "action", "resource_type")}


class DecisionShown(Shown):
    """A decision without what it was made from: that may name people, and is read in the console."""

    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    caller = serializers.CharField(allow_blank=True, help_text="client_id; empty: the broker itself")
    action = serializers.CharField()
    resource_type = serializers.CharField()
    decision = serializers.BooleanField()
    reasons = serializers.ListField(child=serializers.CharField(), help_text="ids of the determining rules")
    policy_set = serializers.IntegerField(help_text="number of the set by which it was judged")


def show_decision(decision: Decision) -> dict[str, Any]:
    """A decision as a caller sees it."""
    return {str(name): getattr(decision, str(name)) for name in DecisionShown().fields}


class Decisions(View):
    """What was decided."""

    scopes = {"GET": READ_DECISIONS}
    filters = FILTERS

    @extend_schema(parameters=page_parameters(FILTERS), responses=page_of(DecisionShown))
    def get(self, request: Request) -> Response:
        """List decisions, the newest first."""
        return answer_page(
            Decision.objects.defer("sealed"),
            request,
            order=Order(("at", "id"), descending=True),
            filters=FILTERS,
            represent=show_decision,
        )


class OneDecision(View):
    """One decision."""

    scopes = {"GET": READ_DECISIONS}

    @extend_schema(responses=DecisionShown)
    def get(self, request: Request, decision_id: uuid.UUID) -> Response:  # noqa: ARG002 - DRF's signature
        """Show a decision."""
        return self.one(show_decision(get_object_or_404(Decision.objects.defer("sealed"), pk=decision_id)))
