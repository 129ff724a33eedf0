"""The book in the console: to read, to search and to export, never to change."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from broker.console_rows import ReadOnly
from broker.events.catalogue import CATALOGUE
from broker.events.models import Event, Seal
from broker.refusals import CATALOGUE as REFUSALS
from broker.wording import as_cell

EXPORTED = (
    "id",
    "at",
    "type",
    "severity",
    "actor_kind",
    "actor_id",
    "address",
    "trace_id",
    "subject_kind",
    "subject_id",
    "connection",
    "application",
    "code",
    "details",
)
TRACE_ID_LENGTH = 10


class ReadOnlyAdmin(ReadOnly, ModelAdmin):
    """Rows that the console shows and nobody edits."""

    list_per_page = 50
    # A book of millions is not counted for each page.
    show_full_result_count = False


class TypeFilter(admin.SimpleListFilter):
    """By type. The catalogue gives the choices: asking the table would read all of it."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(CATALOGUE)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        return queryset.filter(type=self.value()) if self.value() else queryset


class CodeFilter(admin.SimpleListFilter):
    """By refusal code, likewise from the catalogue."""

    title = "code"
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(refusal.code, refusal.code) for refusal in REFUSALS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        return queryset.filter(code=self.value()) if self.value() else queryset


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """Events, newest first."""

    list_display = ("at", "type", "severity", "code", "connection", "application", "subject", "trace_id")
    list_filter = ("severity", TypeFilter, CodeFilter, "connection", "at")
    search_fields = ("trace_id__exact", "subject_id__exact", "actor_id__exact")
    search_help_text = "A trace id, the id of a subject or of an actor, exactly"
    date_hierarchy = "at"
    actions: ClassVar = ["export_json_lines", "export_csv"]
    fields = (
        "id",
        "at",
        "type",
        "meaning",
        "severity",
        "actor",
        "address",
        "subject",
        "connection",
        "application",
        "code",
        "trace_id",
        "pretty_details",
    )

    @admin.display(description="subject")
    def subject(self, event: Event) -> str:
        """Kind and id of what the event is about."""
        return f"{event.subject_kind} {event.subject_id}".strip()

    @admin.display(description="actor")
    def actor(self, event: Event) -> str:
        """Kind and id of who acted."""
        return f"{event.actor_kind} {event.actor_id}".strip()

    @admin.display(description="meaning")
    def meaning(self, event: Event) -> str:
        """What the catalogue says of this type."""
        return CATALOGUE[event.type].meaning if event.type in CATALOGUE else "No longer in the catalogue."

    @admin.display(description="details")
    def pretty_details(self, event: Event) -> SafeString:
        """The details as indented JSON."""
        return format_html("<pre>{}</pre>", json.dumps(event.details, indent=2, sort_keys=True, ensure_ascii=False))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Event], search_term: str
    ) -> tuple[QuerySet[Event], bool]:
        """A trace id is found as people type it: in small letters, or without its dash."""
        letters = search_term.strip().upper().replace("-", "")
        if len(letters) == TRACE_ID_LENGTH and letters.isalnum():
            by_trace = queryset.filter(trace_id=f"{letters[:5]}-{letters[5:]}")
            if by_trace.exists():
                return by_trace, False
        found: tuple[QuerySet[Event], bool] = super().get_search_results(request, queryset, search_term)
        return found

    @admin.action(description="Export as JSON lines", permissions=["view"])
    def export_json_lines(self, request: HttpRequest, queryset: QuerySet[Event]) -> StreamingHttpResponse:
        """One JSON object for each selected event, oldest first."""
        lines = (json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in _rows(queryset))
        return _download(lines, content_type="application/x-ndjson", name="events.jsonl")

    @admin.action(description="Export as CSV", permissions=["view"])
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Event]) -> StreamingHttpResponse:
        """One line for each selected event, oldest first, under a line of names."""
        return _download(_csv_lines(queryset), content_type="text/csv; charset=utf-8", name="events.csv")


@admin.register(Seal)
class SealAdmin(ReadOnlyAdmin):
    """Seals over the book, newest first."""

    list_display = ("id", "at", "count", "until_id", "digest", "pruned_at")
    list_filter = ("at",)
    search_fields = ("digest__exact",)
    fields = (
        "id",
        "at",
        "ids",
        "count",
        "until_id",
        "rows_digest",
        "previous_digest",
        "digest",
        "signature",
        "pruned_at",
    )


def _rows(queryset: QuerySet[Event]) -> Iterator[dict[str, Any]]:
    for event in queryset.order_by("id").iterator(chunk_size=1000):
        yield {name: getattr(event, name) for name in EXPORTED} | {"at": event.at.isoformat()}


def _csv_lines(queryset: QuerySet[Event]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(EXPORTED)
    for row in _rows(queryset):
        details = json.dumps(row["details"], ensure_ascii=False, sort_keys=True)
        writer.writerow([as_cell(str(value)) for value in (row | {"details": details}).values()])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _download(lines: Iterator[str], *, content_type: str, name: str) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(lines, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
