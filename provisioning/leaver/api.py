"""/leavers: their cases, item by item, and the signed export. Read only: what is open is closed elsewhere."""

import uuid
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.api.base import Shown, View
from broker.api.paging import Order, answer_page
from broker.api.parameters import page_of, page_parameters
from provisioning.leaver.certificate import certify
from provisioning.leaver.exporting import export_case
from provisioning.leaver.models import Case, Item

READ_LEAVERS = "leavers.read"
FILTERS = {"state": "state", "person": "person"}


class ItemShown(Shown):
    """One door, and how it ended."""

    kind = serializers.ChoiceField(Item.Kind.choices)
    reference = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(Item.State.choices)
    code = serializers.ChoiceField(Item.Code.choices)
    deadline = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True, help_text="the end of what cannot be verified")
    digest = serializers.CharField(allow_blank=True, help_text="SHA-256 of the answer")
    delivery = serializers.IntegerField(allow_null=True, help_text="the row of the ledger that it relies on")
    late_at = serializers.DateTimeField(allow_null=True)
    lied_at = serializers.DateTimeField(allow_null=True)
    returned_at = serializers.DateTimeField(allow_null=True)


class LeaverShown(Shown):
    """A case. Of the person only the id is in it."""

    id = serializers.UUIDField()
    person = serializers.UUIDField()
    state = serializers.ChoiceField(Case.State.choices)
    state_since = serializers.DateTimeField()
    left_at = serializers.DateTimeField()
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True, help_text="when the person returned")
    looked_at = serializers.DictField(child=serializers.IntegerField(), help_text="how many of each kind were there")
    statement = serializers.CharField(help_text="what the certificate says")
    items = ItemShown(many=True)


def show_case(case: Case) -> dict[str, Any]:
    """A case as a caller sees it."""
    items = list(case.items.all())
    own = ("id", "state", "state_since", "left_at", "opened_at", "closed_at", "looked_at")
    return {name: getattr(case, name) for name in own} | {
        "person": case.person_id,
        "statement": certify(case, items).statement,
        "items": [{str(name): getattr(item, str(name)) for name in ItemShown().fields} for item in items],
    }


class Leavers(View):
    """Who left."""

    scopes = {"GET": READ_LEAVERS}
    filters = FILTERS

    @extend_schema(parameters=page_parameters(FILTERS), responses=page_of(LeaverShown))
    def get(self, request: Request) -> Response:
        """List leavers' cases with their items, the newest first."""
        order = Order(("opened_at", "id"), descending=True)
        return answer_page(_cases(), request, order=order, filters=FILTERS, represent=show_case)


class OneLeaver(View):
    """One case."""

    scopes = {"GET": READ_LEAVERS}

    @extend_schema(responses=LeaverShown)
    def get(self, request: Request, case_id: uuid.UUID) -> Response:  # noqa: ARG002 - DRF's signature
        """Show a leaver's case, item by item."""
        return self.one(show_case(_find(case_id)))


class LeaverExport(View):
    """The certificate with all its evidence."""

    scopes = {"GET": READ_LEAVERS}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, case_id: uuid.UUID) -> Response:  # noqa: ARG002 - DRF's signature
        """Export a leaver's case, signed.

        verify_leaver.py judges it without us, given lines of the seal log.
        """
        return Response(export_case(_find(case_id), actor=self.actor))


def _cases() -> QuerySet[Case]:
    return Case.objects.prefetch_related(Prefetch("items", Item.objects.order_by("kind", "title", "pk")))


def _find(case_id: uuid.UUID) -> Case:
    return get_object_or_404(_cases(), pk=case_id)
