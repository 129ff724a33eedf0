"""Files of people in the console: who sends them, and what became of each."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.decorators import action

from broker.console_rows import MadeByPrograms
from broker.errors import BrokerError
from broker.http import operator_actor
from provisioning.batch.models import FileSource, Import
from provisioning.batch.release import ask_for_release


class _Shown(MadeByPrograms, ModelAdmin):
    """Rows that files and configuration write, and the console shows."""

    list_per_page = 50

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A row to look at: there is nothing to be saved."""
        shown = {"show_save": False, "show_save_and_continue": False, **(extra_context or {})}
        answer: HttpResponse = super().change_view(request, object_id, form_url, shown)
        return answer


@admin.register(FileSource)
class FileSourceAdmin(_Shown):
    """The systems that send files; they come by configuration."""

    nothing_here = "No file source yet. They come by configuration: manage.py apply."
    list_display = ("slug", "organisation", "owner", "key", "is_full", "enabled", "last_import")
    list_select_related = ("organisation",)
    readonly_fields = (
        "slug", "name", "organisation", "owner", "key", "columns", "is_full", "enabled", "created_at", "retired_at",
    )  # fmt: skip

    @admin.display(description="last file")
    def last_import(self, source: FileSource) -> str:
        """The file that came last, and what became of it."""
        run = source.imports.first()
        return f"{run.file_name}, {run.get_state_display()}, {run.begun_at:%Y-%m-%d %H:%M} UTC" if run else "none yet"


@admin.register(Import)
class ImportAdmin(_Shown):
    """Each file with its counts. A held one asks a second operator from here."""

    nothing_here = "No file yet: manage.py import_people FILE.csv --source SOURCE"
    list_display = (
        "begun_at", "source", "file_name", "state", "rows", "created", "changed", "unchanged", "rejected", "missing",
    )  # fmt: skip
    list_filter = ("state", "source")
    list_select_related = ("source",)
    actions_detail: ClassVar = ["ask_release"]
    readonly_fields = (
        "source", "file_name", "state", "rows", "position", "created", "changed", "unchanged", "rejected",
        "unreadable", "conflicts", "missing", "closed", "begun_at", "begun_by", "ended_at", "digest",
    )  # fmt: skip

    @action(description="Ask to close the missing", icon="how_to_reg", permissions=["change"])
    def ask_release(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask a second operator, who sees how many and decides."""
        run = get_object_or_404(Import, pk=object_id)
        if not self.has_change_permission(request, run):
            raise PermissionDenied
        page = reverse("admin:batch_import_change", args=[run.pk])
        if run.state != Import.State.HELD:
            messages.warning(request, "Nothing of this import waits for anybody.")
            return HttpResponseRedirect(page)
        try:
            approval = ask_for_release(run, actor=operator_actor(request))
        except BrokerError as error:
            messages.error(request, f"{error.refusal.meaning} {error.refusal.remedy}")
            return HttpResponseRedirect(page)
        messages.success(request, "A second operator decides now.")
        return HttpResponseRedirect(reverse("admin:approvals_approval_change", args=[approval.pk]))
