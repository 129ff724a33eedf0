"""What the console's pages about plans, runs, drift and holds have in common."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin

from broker.console_rows import MadeByPrograms
from broker.errors import BrokerError


def in_sentences(error: BrokerError) -> str:
    """A refusal as operators read it."""
    return f"{error.refusal.meaning} {error.refusal.remedy} {error.actual}".rstrip()


def count_words(counts: dict[str, int]) -> str:
    """Counts side by side."""
    return ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in sorted(counts.items())) or "nothing"


class ReadOnlyAdmin(MadeByPrograms, ModelAdmin):
    """Rows that programs write; operators look at them and decide on their pages."""

    list_per_page = 50
    show_full_result_count = False
    actions = None

    def found(self, request: HttpRequest, object_id: str) -> Any:
        """The row, for an operator who may see it."""
        row = self.get_queryset(request).filter(pk=object_id).first() if object_id.isdecimal() else None
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            raise Http404
        return row

    def page(self, request: HttpRequest, template: str, **context: Any) -> TemplateResponse:
        """One of our pages within the console."""
        around = {**self.admin_site.each_context(request), "opts": self.opts}
        return TemplateResponse(request, f"admin/planning/{template}", around | context)
