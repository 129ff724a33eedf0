"""The console's pages of drift: since when it stands, what differs, and what was done about it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from provisioning.outbound.models import Hold
from provisioning.planning.models import Drift
from provisioning.planning.pages import ReadOnlyAdmin
from provisioning.planning.telling import difference_lines


class StandingFilter(admin.SimpleListFilter):
    """Shows what stands, unless something else is asked for."""

    title = "whether it stands"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("gone", "gone again"), ("all", "all")]

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            yield choice | ({"display": "stands"} if choice["query_string"] == "?" else {})

    def queryset(self, request: HttpRequest, queryset: QuerySet[Drift]) -> QuerySet[Drift]:
        match self.value():
            case "all":
                return queryset
            case "gone":
                return queryset.exclude(repaired_at=None)
        return queryset.filter(repaired_at=None)


@admin.register(Drift)
class DriftAdmin(ReadOnlyAdmin):
    """Differences that stand between targets and what should be there."""

    nothing_here = "No difference stands. The runs say whether anything was compared."
    list_display = ("title", "kind", "target", "differs", "first_seen", "last_seen", "repair", "repaired_at")
    list_display_links = ("title",)
    list_filter = (StandingFilter, "kind", "repair", "target")
    list_select_related = ("target", "person", "last_run")
    search_fields = ("title", "=remote_id", "=person__id")
    search_help_text = "A name at the target, an id there, or a person's id"

    @admin.display(description="what differs")
    def differs(self, drift: Drift) -> str:
        """The names of the attributes."""
        return ", ".join(drift.differences) or "-"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One difference: since when, what, and what was done about it."""
        drift: Drift = self.found(request, object_id)
        return self.page(
            request,
            "drift.html",
            title=drift.title,
            original=drift,
            drift=drift,
            differences=list(difference_lines(drift.differences)),
            hold=Hold.objects.filter(name=drift.hold).first() if drift.hold else None,
        )
