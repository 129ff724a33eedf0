"""The console's inbox of approvals: what waits for this operator, what it would change, and the decision."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from broker.approvals.handlers import handler_of
from broker.approvals.models import Approval
from broker.approvals.services import approve, refuse, withdraw
from broker.console_rows import MadeByPrograms
from broker.errors import BrokerError
from broker.http import operator_actor

STYLES: dict[str, str] = {
    Approval.State.APPROVED: "cs-good",
    Approval.State.REFUSED: "cs-bad",
    Approval.State.EXPIRED: "cs-bad",
}
DONE = {"approve": "approved and in force", "refuse": "refused", "withdraw": "withdrawn"}


class WaitingFilter(admin.SimpleListFilter):
    """Shows what this operator may decide, unless something else is asked for."""

    title = "whose turn"
    parameter_name = "turn"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("own", "asked by you"), ("pending", "all that waits"), ("all", "all")]

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            yield choice | ({"display": "waiting for you"} if choice["query_string"] == "?" else {})

    def queryset(self, request: HttpRequest, queryset: QuerySet[Approval]) -> QuerySet[Approval]:
        if self.value() == "all":
            return queryset
        if self.value() == "own":
            return queryset.filter(requested_by=request.user.pk)
        waiting = queryset.filter(state=Approval.State.PENDING, expires_at__gt=timezone.now())
        return waiting if self.value() == "pending" else waiting.exclude(requested_by=request.user.pk)


@admin.register(Approval)
class ApprovalAdmin(MadeByPrograms, ModelAdmin):
    """Questions to a second operator."""

    list_display = ("title", "kind", "requested_by", "requested_at", "state_shown", "decided_by", "expires_at")
    list_filter = (WaitingFilter, "state", "kind")
    list_select_related = ("requested_by", "decided_by")
    search_fields = ("title", "requested_by__email", "decided_by__email")
    actions = None
    list_per_page = 50

    @admin.display(description="state", ordering="state")
    def state_shown(self, approval: Approval) -> SafeString:
        """The state as a word, with a colour beside it."""
        style = STYLES.get(approval.state, "")
        return format_html('<span class="{}">{}</span>', style, approval.get_state_display())

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """GET: what would change. POST: the operator's decision, with a reason."""
        rows = Approval.objects.select_related("requested_by", "decided_by")
        approval = rows.filter(pk=object_id).first() if object_id.isdecimal() else None
        if not self.has_view_permission(request, approval):
            raise PermissionDenied
        if approval is None:
            raise Http404
        if request.method == "POST":
            return self._decide(request, approval)
        context = {
            **self.admin_site.each_context(request),
            **(extra_context or {}),
            "opts": self.opts,
            "title": approval.title,
            "original": approval,
            "approval": approval,
            "rows": _compared(approval),
            "may_decide": approval.state == Approval.State.PENDING and self.has_change_permission(request),
            "is_own": approval.requested_by_id == request.user.pk,
            "subject_link": _subject_link(approval),
        }
        return TemplateResponse(request, "admin/approvals/approval.html", context)

    def _decide(self, request: HttpRequest, approval: Approval) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        actor = operator_actor(request)
        decision, reason = request.POST.get("decision", ""), request.POST.get("reason", "").strip()
        again = HttpResponseRedirect(reverse("admin:approvals_approval_change", args=[approval.pk]))
        services: dict[str, Callable[..., Approval]] = {"approve": approve, "refuse": refuse, "withdraw": withdraw}
        if decision not in services:
            messages.error(request, "Choose what shall become of it.")
            return again
        try:
            services[decision](approval, reason=reason, actor=actor)
        except BrokerError as error:
            messages.error(request, f"{error.refusal.meaning} {error.refusal.remedy}")
            return again
        messages.success(request, f"{approval.title} is {DONE[decision]}.")
        return HttpResponseRedirect(reverse("admin:approvals_approval_changelist"))


def _compared(approval: Approval) -> list[dict[str, Any]]:
    """A row for each thing that is named before or after, in the order of after."""
    names = dict.fromkeys([*approval.after, *approval.before])
    return [
        {
            "name": name,
            "before": approval.before.get(name, ""),
            "after": approval.after.get(name, ""),
            "differs": approval.before.get(name) != approval.after.get(name),
        }
        for name in names
    ]


def _subject_link(approval: Approval) -> str:
    page = handler_of(approval.kind).page
    return reverse(page, args=[approval.subject_id]) if page else ""
