"""/deliveries: what must reach others, whether it did, and what is decided of what did not."""

from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db import transaction
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.api.base import Input, Shown, View
from broker.api.paging import Order, answer_page
from broker.api.parameters import IF_MATCH, page_of, page_parameters
from broker.api.preconditions import check_match
from broker.delivery.digests import row_digest
from broker.delivery.models import Attempt, Delivery, Priority
from broker.delivery.services import retry, write_off

READ_DELIVERIES, WRITE_DELIVERIES = "deliveries.read", "deliveries.write"
FILTERS = {name: name for name in ("state", "lane", "kind", "subject", "reference", "reason")}
OF_ATTEMPTS = ("number", "began_at", "ended_at", "outcome", "code", "status", "detail", "digest")


class Decision(StrEnum):
    RETRY = "retry"
    WRITE_OFF = "write_off"


class DeliveryChange(Input):
    """What is decided of a dead letter, or of what still waits."""

    decision = serializers.ChoiceField([decision.value for decision in Decision])
    reason = serializers.CharField(max_length=500, required=False, help_text="of write_off, and needed there")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Raises serializers.ValidationError."""
        if attrs["decision"] == Decision.WRITE_OFF and not attrs.get("reason"):
            raise serializers.ValidationError({"reason": ["Say why: the book keeps it."]})
        if attrs["decision"] == Decision.RETRY and "reason" in attrs:
            raise serializers.ValidationError({"reason": ["A retry has none."]})
        return attrs


class AttemptShown(Shown):
    """One attempt that ended."""

    number = serializers.IntegerField()
    began_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField()
    outcome = serializers.ChoiceField(Attempt.Outcome.choices)
    code = serializers.CharField(allow_blank=True)
    status = serializers.IntegerField(allow_null=True, help_text="the HTTP status of the answer")
    detail = serializers.CharField(allow_blank=True)
    digest = serializers.CharField(allow_blank=True, help_text="SHA-256 of the answer that confirmed")


class DeliveryShown(Shown):
    """One effect that is wanted outside."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(sorted(settings.DELIVERY_HANDLERS))
    lane = serializers.CharField(help_text="the way to one receiver")
    subject = serializers.CharField(help_text="what it is about")
    reference = serializers.CharField(allow_blank=True, help_text="what it is part of")
    priority = serializers.ChoiceField(Priority.choices)
    must_arrive = serializers.BooleanField()
    hold = serializers.CharField(allow_blank=True, help_text="whose decision it waits for")
    state = serializers.ChoiceField(Delivery.State.choices)
    reason = serializers.CharField(allow_blank=True, help_text="the code of the last outcome")
    detail = serializers.CharField(allow_blank=True)
    status = serializers.IntegerField(allow_null=True)
    digest = serializers.CharField(allow_blank=True)
    attempts = serializers.IntegerField()
    due_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)
    superseded_by = serializers.IntegerField(allow_null=True)
    cause_event_id = serializers.IntegerField(allow_null=True)
    trace_id = serializers.CharField(allow_blank=True)


class OneDeliveryShown(DeliveryShown):
    """The same with each attempt, and what the book says of the row."""

    history = AttemptShown(many=True)
    row_digest = serializers.CharField(
        allow_null=True, help_text="of the settled row as it stands now; the event delivery.settled has it as it was"
    )


def show_delivery(row: Delivery) -> dict[str, Any]:
    """A delivery as a caller sees it; names of people and payloads stay in the console."""
    return {str(name): getattr(row, str(name)) for name in DeliveryShown().fields}


def show_one(row: Delivery) -> dict[str, Any]:
    """The same with its attempts, in order."""
    history = list(Attempt.objects.filter(delivery=row).order_by("number").values(*OF_ATTEMPTS))
    return show_delivery(row) | {"history": history, "row_digest": row_digest(row) if row.settled_at else None}


class Deliveries(View):
    """The ledger."""

    scopes = {"GET": READ_DELIVERIES}
    filters = FILTERS

    @extend_schema(parameters=page_parameters(FILTERS), responses=page_of(DeliveryShown))
    def get(self, request: Request) -> Response:
        """List deliveries, the newest first, also those that arrived."""
        order = Order(("id",), descending=True)
        return answer_page(Delivery.objects.all(), request, order=order, filters=FILTERS, represent=show_delivery)


class OneDelivery(View):
    """One delivery."""

    scopes = {"GET": READ_DELIVERIES, "PATCH": WRITE_DELIVERIES}

    @extend_schema(responses=OneDeliveryShown)
    def get(self, request: Request, delivery_id: int) -> Response:  # noqa: ARG002 - DRF's signature
        """Show a delivery with its attempts."""
        return self.one(show_one(get_object_or_404(Delivery, pk=delivery_id)))

    @extend_schema(request=DeliveryChange, responses=OneDeliveryShown, parameters=[IF_MATCH])
    def patch(self, request: Request, delivery_id: int) -> Response:
        """Attempt it anew at once, or give it up for good; what is settled or under way takes no decision."""
        with transaction.atomic():
            row = get_object_or_404(Delivery.objects.select_for_update(), pk=delivery_id)
            check_match(request, show_one(row))
            sent = DeliveryChange.of(request)
            if sent["decision"] == Decision.RETRY:
                row = retry(row, actor=self.actor)
            else:
                row = write_off(row, reason=sent["reason"], actor=self.actor)
            return self.one(show_one(row))
