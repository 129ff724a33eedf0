"""Decisions in the console: found by id, subject or resource, read with all that they were made from, made again."""

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import TextFilter

from broker import crypto
from broker.access.decisions import hashes_of, open_decision
from broker.access.models import Decision, PolicyVersion
from broker.access.names import OURS
from broker.access.policy_admin import LookingAdmin
from broker.access.replay import CannotReplay, find_decision, replay
from broker.events.catalogue import DECISION_READ
from broker.events.services import record
from broker.http import operator_actor

_WORDS = {True: ("cs-good", "yes"), False: ("cs-bad", "no")}


class ExactFilter(TextFilter):
    """A field to type a value into. Offering the values would read the whole table for each page."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Decision]) -> QuerySet[Decision]:  # noqa: ARG002 - Django's signature
        """Those whose field is exactly what was typed."""
        value = (self.value() or "").strip()
        return queryset.filter(**{self.parameter_name: value}) if value else queryset


class ActionFilter(ExactFilter):
    title = "action"
    parameter_name = "action"


class ResourceTypeFilter(ExactFilter):
    title = "type of resource"
    parameter_name = "resource_type"


class CallerFilter(ExactFilter):
    title = "caller"
    parameter_name = "caller"


class DecisionAdmin(LookingAdmin):
    """Questions and their answers."""

    list_display = ("at", "decision_shown", "subject", "action", "resource_type", "reasons_shown", "asked_by", "id")
    list_display_links = ("at", "id")
    list_filter = ("decision", "has_failed", "at", ActionFilter, ResourceTypeFilter, CallerFilter)
    list_filter_submit = True
    search_fields = ("id",)
    search_help_text = "The id of a decision, of a person, client or application, or a type and an id: record 4711"
    ordering = ("-at",)
    show_full_result_count = False

    @admin.display(description="answer", ordering="decision")
    def decision_shown(self, decision: Decision) -> SafeString:
        """Yes or no, with a colour beside it."""
        style, word = _WORDS[decision.decision]
        return format_html('<span class="{}">{}</span>', style, f"{word}, an error" if decision.has_failed else word)

    @admin.display(description="subject")
    def subject(self, decision: Decision) -> str:
        """Whom we know by their id; of others the type alone."""
        return f"{decision.subject_type} {decision.subject_id or '(not ours)'}"

    @admin.display(description="determined by")
    def reasons_shown(self, decision: Decision) -> str:
        """The rules."""
        return ", ".join(decision.reasons) or "no rule"

    @admin.display(description="asked by", ordering="caller")
    def asked_by(self, decision: Decision) -> str:
        """The client, or sign-on itself."""
        return decision.caller or "sign-on"

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[Decision],
        search_term: str,
    ) -> tuple[QuerySet[Decision], bool]:
        """By the decision's id, or by a subject or resource: their ids are kept as hashes, so only whole ones match."""
        term = search_term.strip()
        if not term:
            return queryset, False
        kind, _, identifier = term.partition(" ")
        named = [(one, term) for one in OURS] + ([(kind, identifier.strip())] if identifier else [])
        hashes = [one for type_, id_ in named for one in hashes_of(type_, id_)]
        wanted = Q(subject_hash__in=hashes) | Q(resource_hash__in=hashes)
        found = find_decision(term)
        return queryset.filter(wanted | Q(pk=found.pk) if found else wanted), False

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 - Django's signature
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 - Django's signature
    ) -> HttpResponse:
        """One decision; opening it is an event. POST: make it again, and say whether it comes out the same."""
        decision: Any = self.shown(request, find_decision(object_id))
        record(DECISION_READ, actor=operator_actor(request), subject=("decision", decision.pk))
        if request.method == "POST":
            self._replay(request, decision)
        try:
            kept = open_decision(decision)
        except crypto.UnsealError:
            kept = None
            messages.error(request, "What was stored of it cannot be opened: damaged, or its key is gone.")
        flips = decision.flips.select_related("version__policy")
        tried = PolicyVersion.objects.filter(pk__in=[int(key) for key in kept.shadows] if kept else [])
        return self.page(
            request,
            "decision.html",
            decision,
            title=f"Decision {decision.pk}",
            decision=decision,
            kept=kept,
            request_text=_pretty(kept.request) if kept else "",
            entities=[_pretty(one) for one in kept.question["entities"]] if kept and kept.question else [],
            shadows=[(one, kept.shadows[str(one.pk)]) for one in tried.select_related("policy")] if kept else [],
            flips=flips,
        )

    def _replay(self, request: HttpRequest, decision: Decision) -> None:
        try:
            replayed = replay(decision)
        except CannotReplay as error:
            messages.error(request, f"It cannot be made again: {error}.")
            return
        answer = "yes" if replayed.again.decision else "no"
        reasons = ", ".join(replayed.again.reasons) or "no rule"
        if replayed.is_same:
            messages.success(request, f"Made again from what was stored, it is the same: {answer}, by {reasons}.")
        else:
            messages.error(request, f"Made again from what was stored, it differs: {answer}, by {reasons}.")


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
