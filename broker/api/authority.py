"""/authority: which sources speak for which attribute, what a change would do, and when it begins."""

from typing import Any

from django.db import transaction
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.api.base import Input, Shown, View
from broker.api.idempotence import answer_once
from broker.api.paging import Order, answer_page, read_parameters
from broker.api.parameters import IDEMPOTENCY_KEY, IF_MATCH, page_of, page_parameters
from broker.api.people import READ_PEOPLE
from broker.api.preconditions import check_match
from broker.api.problems import Problem
from broker.directory.models import AuthorityRule
from broker.directory.rules import Simulation, schedule_rule, simulate_rule, withdraw_rule

WRITE_AUTHORITY = "authority.write"
FILTERS = {"attribute": "attribute", "state": "state"}
_SIMULATED = {
    "attribute": "the attribute",
    "sources": "kind:slug or kind:*, the best first, with commas between; none: the usual order",
}


class RuleInput(Input):
    """A change of authority over an attribute."""

    attribute = serializers.CharField(max_length=128)
    sources = serializers.ListField(
        child=serializers.CharField(max_length=100),
        max_length=100,
        help_text="kind:slug or kind:*, the best first; none: the usual order",
    )
    valid_from = serializers.DateTimeField(required=False, help_text="at once without it")
    note = serializers.CharField(max_length=500, required=False, allow_blank=True)
    would_change = serializers.IntegerField(min_value=0, help_text="how many change by the simulation")


class RuleShown(Shown):
    """Who speaks for an attribute from a moment on."""

    id = serializers.IntegerField()
    attribute = serializers.CharField()
    sources = serializers.ListField(child=serializers.CharField())
    valid_from = serializers.DateTimeField()
    state = serializers.ChoiceField(AuthorityRule.State.choices)
    note = serializers.CharField(allow_blank=True)
    checked = serializers.IntegerField(help_text="people looked at while it was applied")
    changed = serializers.IntegerField(help_text="those of them who changed")
    applied_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class SampleShown(Shown):
    """Somebody who would change."""

    person = serializers.UUIDField()
    before = serializers.ListField(child=serializers.CharField(allow_blank=True))
    after = serializers.ListField(child=serializers.CharField(allow_blank=True))
    winner = serializers.CharField(allow_blank=True)


class SimulationShown(Shown):
    """What a rule would do."""

    attribute = serializers.CharField()
    sources = serializers.ListField(child=serializers.CharField())
    checked = serializers.IntegerField(help_text="people of whom any source tells the attribute")
    would_change = serializers.IntegerField()
    would_be_empty = serializers.IntegerField(help_text="those who have no value afterwards; of active, who are closed")
    conclusive = serializers.BooleanField(help_text="false: nobody was there to be checked")
    samples = SampleShown(many=True)


def show_rule(rule: AuthorityRule) -> dict[str, Any]:
    """A rule as a caller sees it."""
    return {str(name): getattr(rule, str(name)) for name in RuleShown().fields}


def show_simulation(simulation: Simulation) -> dict[str, Any]:
    """A simulation as a caller sees it."""
    return {
        "attribute": simulation.attribute,
        "sources": list(simulation.sources),
        "checked": simulation.checked,
        "would_change": simulation.changed,
        "would_be_empty": simulation.emptied,
        "conclusive": simulation.is_conclusive,
        "samples": [
            {"person": one.person, "before": list(one.before), "after": list(one.after), "winner": one.winner}
            for one in simulation.samples
        ],
    }


class SimulatedRule(View):
    """What a rule would do."""

    scopes = {"GET": READ_PEOPLE}
    filters = _SIMULATED

    @extend_schema(
        parameters=[OpenApiParameter(name, str, description=text) for name, text in _SIMULATED.items()],
        responses=SimulationShown,
    )
    def get(self, request: Request) -> Response:
        """Say whom a rule would change, and change nobody."""
        asked = read_parameters(request, tuple(_SIMULATED))
        if "attribute" not in asked:
            raise Problem("api.invalid", errors=(("?attribute", "is needed"),))
        sources = [source.strip() for source in asked.get("sources", "").split(",") if source.strip()]
        return Response(show_simulation(simulate_rule(asked["attribute"], sources)))


class AuthorityRules(View):
    """Who speaks for what, and since when."""

    scopes = {"GET": READ_PEOPLE, "POST": WRITE_AUTHORITY}
    filters = FILTERS

    @extend_schema(parameters=page_parameters(FILTERS), responses=page_of(RuleShown))
    def get(self, request: Request) -> Response:
        """List rules, the newest first: those in force, those to come, and those of before."""
        order = Order(("id",), descending=True)
        rows = AuthorityRule.objects.all()
        return answer_page(rows, request, order=order, filters=FILTERS, represent=show_rule)

    @extend_schema(request=RuleInput, responses={201: RuleShown}, parameters=[IDEMPOTENCY_KEY])
    def post(self, request: Request) -> Response:
        """Change who speaks for an attribute, from a moment on.

        `would_change` is what the simulation showed; when another number would change by now, nothing is done.
        """

        def schedule() -> tuple[int, dict[str, Any], dict[str, Any]]:
            sent = RuleInput.of(request)
            rule, _ = schedule_rule(
                sent["attribute"],
                sent["sources"],
                valid_from=sent.get("valid_from"),
                actor=self.actor,
                note=sent.get("note", ""),
                expected=sent["would_change"],
            )
            return 201, show_rule(rule), {}

        return answer_once(request, schedule, name="id")


class OneAuthorityRule(View):
    """One rule."""

    scopes = {"GET": READ_PEOPLE, "DELETE": WRITE_AUTHORITY}

    @extend_schema(responses=RuleShown)
    def get(self, request: Request, rule_id: int) -> Response:  # noqa: ARG002 - DRF's signature
        """Show a rule."""
        return self.one(show_rule(get_object_or_404(AuthorityRule, pk=rule_id)))

    @extend_schema(responses={204: None}, parameters=[IF_MATCH])
    def delete(self, request: Request, rule_id: int) -> Response:
        """Take a rule back before it begins. One that has begun is replaced by another."""
        with transaction.atomic():
            rule = get_object_or_404(AuthorityRule.objects.select_for_update(), pk=rule_id)
            check_match(request, show_rule(rule))
            withdraw_rule(rule, actor=self.actor)
        return Response(status=204)
