"""/conflicts: what sources say without authority, and what is decided of it."""

from typing import Any

from django.db import transaction
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.api.authentication import check_scope
from broker.api.authority import WRITE_AUTHORITY
from broker.api.base import Input, Shown, View
from broker.api.paging import Order, answer_page
from broker.api.parameters import IF_MATCH, page_of, page_parameters
from broker.api.people import READ_PEOPLE, WRITE_PEOPLE
from broker.api.preconditions import check_match
from broker.directory.conflicts import Decision, resolve_conflict
from broker.directory.models import Conflict

FILTERS = {name: name for name in ("state", "person", "attribute", "source", "code")}


class Resolution(Input):
    """What is decided: what is in force stays, or the source that lost comes first for everybody from a moment on."""

    decision = serializers.ChoiceField([decision.value for decision in Decision])
    note = serializers.CharField(max_length=500, required=False, allow_blank=True)
    valid_from = serializers.DateTimeField(required=False, help_text="of win; at once without it")
    would_change = serializers.IntegerField(
        required=False, min_value=0, help_text="of win, and needed there: how many change by the simulation"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Raises serializers.ValidationError."""
        is_rule = attrs["decision"] == Decision.WIN
        if is_rule and "would_change" not in attrs:
            raise serializers.ValidationError({"would_change": ["Simulate the rule first, and say what it showed."]})
        if not is_rule and attrs.keys() & {"valid_from", "would_change"}:
            raise serializers.ValidationError({"decision": ["Only win has a moment, and a simulation."]})
        return attrs


class ConflictShown(Shown):
    """What a source says of a person, and is not in force."""

    id = serializers.IntegerField()
    person = serializers.UUIDField()
    attribute = serializers.CharField()
    source = serializers.CharField(help_text="who said it, kind:slug")  # type: ignore[assignment]  # DRF takes fields off the class
    values = serializers.ListField(child=serializers.CharField(allow_blank=True))
    winner = serializers.CharField(allow_blank=True, help_text="whose value was in force then")
    code = serializers.CharField(help_text="why it is not in force")
    evidence = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField(Conflict.State.choices)
    opened_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField(allow_blank=True)
    rule = serializers.IntegerField(allow_null=True, help_text="by which the source shall win")


def show_conflict(conflict: Conflict) -> dict[str, Any]:
    """A conflict as a caller sees it; who the operators are stays in the console."""
    shown = {str(name): getattr(conflict, str(name)) for name in ConflictShown().fields}
    return shown | {"person": conflict.person_id, "rule": conflict.rule_id}


class Conflicts(View):
    """What is in conflict."""

    scopes = {"GET": READ_PEOPLE}
    filters = FILTERS

    @extend_schema(parameters=page_parameters(FILTERS), responses=page_of(ConflictShown))
    def get(self, request: Request) -> Response:
        """List conflicts, the newest first, also those that are over."""
        order = Order(("id",), descending=True)
        return answer_page(_CONFLICTS.all(), request, order=order, filters=FILTERS, represent=show_conflict)


class OneConflict(View):
    """One conflict."""

    scopes = {"GET": READ_PEOPLE, "PATCH": WRITE_PEOPLE}

    @extend_schema(responses=ConflictShown)
    def get(self, request: Request, conflict_id: int) -> Response:  # noqa: ARG002 - DRF's signature
        """Show a conflict."""
        return self.one(show_conflict(get_object_or_404(_CONFLICTS, pk=conflict_id)))

    @extend_schema(request=Resolution, responses=ConflictShown, parameters=[IF_MATCH])
    def patch(self, request: Request, conflict_id: int) -> Response:
        """Decide what becomes of a conflict. When the source says something else, it is open again.

        To let the source win is a rule for everybody, which begins at its moment: simulate it before. It needs the
        scope `authority.write` as well.
        """
        with transaction.atomic():
            conflict = get_object_or_404(Conflict.objects.select_for_update(), pk=conflict_id)
            check_match(request, show_conflict(conflict))
            sent = Resolution.of(request)
            if sent["decision"] == Decision.WIN:
                check_scope(request, WRITE_AUTHORITY)
            resolved = resolve_conflict(
                conflict,
                Decision(sent["decision"]),
                actor=self.actor,
                note=sent.get("note", ""),
                valid_from=sent.get("valid_from"),
                expected=sent.get("would_change"),
            )
            return self.one(show_conflict(resolved))


_CONFLICTS = Conflict.objects.all()
