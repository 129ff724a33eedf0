"""The console's pages of runs: what was read of targets, and when."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from broker.approvals.services import pending_of
from broker.errors import BrokerError
from broker.http import operator_actor
from broker.refusals import BY_CODE
from provisioning.planning.emptied import KIND, ask_to_believe, may_be_believed
from provisioning.planning.models import Plan, Run
from provisioning.planning.pages import ReadOnlyAdmin, count_words, in_sentences

OUTCOMES: dict[str, str] = {
    Run.Outcome.OK: "cs-good",
    Run.Outcome.INCOMPLETE: "cs-bad",
    Run.Outcome.NOTHING_CHECKED: "cs-bad",
}


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """What was read of targets, and when."""

    nothing_here = "No target was read yet. The page of plans begins a plan or a reconciliation."
    list_display = ("name", "target", "outcome_shown", "checked", "counted", "began_at", "ended_at", "started_by")
    list_display_links = ("name",)
    list_filter = ("outcome", "purpose", "target")
    list_select_related = ("target",)

    @admin.display(description="run", ordering="pk")
    def name(self, run: Run) -> str:
        """What it is for, and its number."""
        return str(run).capitalize()

    @admin.display(description="outcome", ordering="outcome")
    def outcome_shown(self, run: Run) -> SafeString:
        """The outcome as words, with a colour beside it."""
        words = run.get_outcome_display() if run.ended_at else run.get_stage_display()
        return format_html('<span class="{}">{}</span>', OUTCOMES.get(run.outcome, ""), words)

    @admin.display(description="found")
    def counted(self, run: Run) -> str:
        """What it counted, or why it counted nothing."""
        return run.code if run.code and not run.counts else count_words(run.counts)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """GET: one run with everything that it counted. POST: ask a second operator to take its target for empty."""
        run: Run = self.found(request, object_id)
        if request.method == "POST":
            return self._ask(request, run)
        approval = pending_of(KIND, run.pk)
        return self.page(
            request,
            "run.html",
            title=f"{str(run).capitalize()} of {run.target}",
            original=run,
            run=run,
            style=OUTCOMES.get(run.outcome, ""),
            meaning=BY_CODE.get(run.code),
            counts=sorted((name.replace("_", " "), number) for name, number in run.counts.items()),
            plan=Plan.objects.filter(run=run).first(),
            approval=approval,
            may_ask=approval is None and self.has_change_permission(request) and may_be_believed(run),
        )

    def _ask(self, request: HttpRequest, run: Run) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        try:
            approval = ask_to_believe(run, actor=operator_actor(request))
        except BrokerError as error:
            messages.error(request, in_sentences(error))
            return HttpResponseRedirect(reverse("admin:planning_run_change", args=[run.pk]))
        messages.success(request, "A second operator finds it among the approvals.")
        return HttpResponseRedirect(reverse("admin:approvals_approval_change", args=[approval.pk]))
