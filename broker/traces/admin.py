"""The console's view of traces: a list that is searched by the id of an error page, and one page per attempt."""

import re
from itertools import groupby
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import TextFilter

from broker.console_rows import ReadOnly
from broker.events.catalogue import TRACE_READ
from broker.events.services import record
from broker.http import operator_actor
from broker.refusals import BY_CODE
from broker.traces.models import Trace
from broker.traces.services import ALPHABET, ID_LENGTH, read_trace

STYLES: dict[str, str] = {Trace.Outcome.REFUSED: "cs-bad", Trace.Outcome.SUCCEEDED: "cs-good"}
# What people write for the letters that the alphabet avoids.
MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})


class ExactFilter(TextFilter):
    """A field to type a value into. Offering the values would read the whole table for each page."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Trace]) -> QuerySet[Trace]:
        """Those whose field is exactly what was typed."""
        value = (self.value() or "").strip()
        return queryset.filter(**{self.parameter_name: value}) if value else queryset


class CodeFilter(ExactFilter):
    title = "code"
    parameter_name = "code"


class ConnectionFilter(ExactFilter):
    title = "identity provider"
    parameter_name = "connection"


class ApplicationFilter(ExactFilter):
    title = "application"
    parameter_name = "application"


@admin.register(Trace)
class TraceAdmin(ReadOnly, ModelAdmin):
    """Traces, read only."""

    list_display = ("id", "started_at", "outcome_shown", "code", "connection", "application")
    list_filter = ("outcome", "started_at", CodeFilter, ConnectionFilter, ApplicationFilter)
    list_filter_submit = True
    search_fields = ("id",)
    search_help_text = "The trace id of an error page, with or without its dash"
    ordering = ("-started_at",)
    show_full_result_count = False
    list_per_page = 50
    actions = None

    @admin.display(description="outcome", ordering="outcome")
    def outcome_shown(self, trace: Trace) -> SafeString:
        """The outcome as a word, with a colour beside it."""
        return format_html('<span class="{}">{}</span>', STYLES.get(trace.outcome, ""), trace.get_outcome_display())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Trace], search_term: str
    ) -> tuple[QuerySet[Trace], bool]:
        """By the beginning of the id, however it was typed."""
        letters = re.sub(r"[\s-]", "", search_term.upper()).translate(MISREAD)
        if not letters:
            return queryset, False
        if len(letters) > ID_LENGTH or set(letters) - set(ALPHABET):
            return queryset.none(), False
        half = ID_LENGTH // 2
        dashed = letters if len(letters) <= half else f"{letters[:half]}-{letters[half:]}"
        return queryset.filter(id__startswith=dashed), False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One attempt: what was refused and who can mend it, then hop by hop. Opening it is an event."""
        trace = Trace.objects.filter(pk=object_id).first()
        if not self.has_view_permission(request, trace):
            raise PermissionDenied
        if trace is None:
            raise Http404
        actor = operator_actor(request)
        record(TRACE_READ, actor=actor, subject=("trace", trace.pk))
        context = {
            **self.admin_site.each_context(request),
            **(extra_context or {}),
            "opts": self.opts,
            "title": f"Trace {trace.pk}",
            "original": trace,
            "trace": trace,
            "hops": [{**hop, "groups": _group(hop["entries"])} for hop in read_trace(trace.pk)],
            "refusal": BY_CODE.get(trace.code),
        }
        return TemplateResponse(request, "admin/traces/trace.html", context)


def _group(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Neighbours of one type together, so that a run of checks becomes one table."""
    return [{"type": kind, "entries": list(run)} for kind, run in groupby(entries, key=lambda entry: entry["type"])]
