"""The console's pages of plans: made, read operation by operation, and carried out."""

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone

from broker.bell import ring
from broker.errors import BrokerError
from broker.http import operator_actor
from provisioning.outbound.models import Hold, Target
from provisioning.planning.applying import apply_plan
from provisioning.planning.models import Operation, Plan, Run
from provisioning.planning.pages import ReadOnlyAdmin, count_words, in_sentences
from provisioning.planning.runs import start_run
from provisioning.planning.telling import difference_lines

APPLY_SLICE = timedelta(seconds=5)
"""As long a request hands operations over itself; a task goes on with the rest."""
PER_PAGE = 100
CARRY, APPLY = "provisioning.planning.tasks.carry_run", "provisioning.planning.tasks.carry_plan"


@admin.register(Plan)
class PlanAdmin(ReadOnlyAdmin):
    """Plans, the newest first, and the way to a new one."""

    nothing_here = "No plan yet. One is made of a target in use, and sends nothing before it is applied."
    list_display = ("name", "target", "state", "counted", "made_at", "made_by", "applied_by")
    list_display_links = ("name",)
    list_filter = ("state", "target")
    list_select_related = ("target", "run")
    list_before_template = "admin/planning/begin.html"

    def get_queryset(self, request: HttpRequest) -> Any:
        """With the number of operations that are held back."""
        held = Count("operations", filter=Q(operations__state=Operation.State.HELD))
        return super().get_queryset(request).annotate(waiting=held)

    @admin.display(description="plan", ordering="pk")
    def name(self, plan: Plan) -> str:
        """Its number."""
        return f"Plan {plan.pk}"

    @admin.display(description="what is to be done")
    def counted(self, plan: Plan) -> str:
        """How many of each action."""
        if plan.state == Plan.State.INCOMPLETE:
            return f"nothing was compared: {plan.run.code or plan.run.get_outcome_display()}"
        named = {_word(name): number for name, number in plan.counts.items() if name != "destructive"}
        waiting: int = getattr(plan, "waiting", 0)
        return count_words(named) + (f"; {waiting} of it held for a second operator" if waiting else "")

    def get_urls(self) -> list[Any]:
        begin = path("begin", self.admin_site.admin_view(self.begin), name="planning_begin")
        return [begin, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The plans, under the way to a new one and the runs under way."""
        above = {
            "targets": Target.objects.filter(enabled=True, retired_at=None).order_by("slug"),
            "under_way": Run.objects.filter(ended_at=None).select_related("target"),
            "may_begin": self.has_change_permission(request),
        }
        page: HttpResponse = super().changelist_view(request, {**(extra_context or {}), **above})
        return page

    def begin(self, request: HttpRequest) -> HttpResponse:
        """POST: begin a plan or a reconciliation of a target; a task carries it."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseRedirect(reverse("admin:planning_plan_changelist"))
        target = Target.objects.filter(slug=request.POST.get("target", ""), retired_at=None).first()
        purpose = request.POST.get("purpose", "")
        if target is None or purpose not in Run.Purpose.values:
            messages.error(request, "Choose a target and what is to be begun.")
            return HttpResponseRedirect(reverse("admin:planning_plan_changelist"))
        try:
            run = start_run(target, purpose=Run.Purpose(purpose), actor=operator_actor(request))
        except BrokerError as error:
            messages.error(request, in_sentences(error))
            return HttpResponseRedirect(reverse("admin:planning_plan_changelist"))
        ring(CARRY, str(run.pk))
        return HttpResponseRedirect(reverse("admin:planning_run_change", args=[run.pk]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """GET: counts, then each operation. POST: carry it out."""
        plan: Plan = self.found(request, object_id)
        if request.method == "POST":
            return self._apply(request, plan)
        action = request.GET.get("action", "")
        operations = plan.operations.select_related("person")
        if action in Operation.Action.values:
            operations = operations.filter(action=action)
        page = Paginator(operations, PER_PAGE).get_page(request.GET.get("p"))
        return self.page(
            request,
            "plan.html",
            title=f"Plan {plan.pk} of {plan.target}",
            original=plan,
            plan=plan,
            run=plan.run,
            counts=[(name, plan.counts.get(name, 0)) for name in Operation.Action.values],
            unchanged=_unchanged(plan),
            chosen=action,
            page_of=page,
            rows=[(one, list(difference_lines(one.differences))) for one in page],
            hold=Hold.objects.filter(name=plan.hold).first() if plan.hold else None,
            held=plan.operations.filter(state=Operation.State.HELD).count(),
            may_apply=plan.state == Plan.State.READY and self.has_change_permission(request),
        )

    def _apply(self, request: HttpRequest, plan: Plan) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        again = HttpResponseRedirect(reverse("admin:planning_plan_change", args=[plan.pk]))
        try:
            plan = apply_plan(plan, actor=operator_actor(request), until=timezone.now() + APPLY_SLICE)
        except BrokerError as error:
            messages.error(request, in_sentences(error))
            return again
        if plan.state == Plan.State.APPLYING:
            ring(APPLY, str(plan.pk))
            messages.success(request, "It is being handed to the ledger; look again in a while.")
        elif plan.hold:
            messages.success(request, "It is applied. What closes accounts waits for a second operator.")
        else:
            messages.success(request, "It is applied: the ledger shows each delivery.")
        return again


def _word(action: str) -> str:
    return "left alone" if action == Operation.Action.NONE else action


def _unchanged(plan: Plan) -> int:
    """Accounts and groups that were compared and are as they should be."""
    differing: int = sum(plan.counts.get(name, 0) for name in Operation.Action.values)
    return max(plan.run.checked - differing, 0)
