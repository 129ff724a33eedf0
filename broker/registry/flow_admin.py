"""Flows in the console: the register, what was asked outside of it, and the way from a proposal into force."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from broker import limits
from broker.approvals.services import pending_of
from broker.console_rows import MadeByPrograms
from broker.errors import BrokerError
from broker.http import operator_actor
from broker.registry.flow_form import FlowForm
from broker.registry.models import Flow
from broker.registry.registering.flow_drafts import (
    approve_alone,
    end_flow,
    propose_flow,
    refuse_flow,
    standing_flow,
)
from broker.registry.registering.flows import APPROVAL_KIND, needs_second_approval, summary
from broker.registry.values import BadValue

SOON_DAYS = 30
STYLES: dict[str, str] = {Flow.State.APPROVED: "cs-good", Flow.State.REFUSED: "cs-bad"}


class StandingFilter(admin.SimpleListFilter):
    """What an operator looks for."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("asked", "asked for, nobody's yet"),
            ("ending", f"ends within {SOON_DAYS} days"),
            ("ended", "ended"),
            ("unused", f"not used for {limits.FLOW_UNUSED.days} days"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Flow]) -> QuerySet[Flow]:
        now = timezone.now()
        in_force = queryset.filter(state=Flow.State.APPROVED, ended_at=None, expires__gte=now.date())
        match self.value():
            case "asked":
                return queryset.filter(is_draft=True, owner="", state=Flow.State.PROPOSED)
            case "ending":
                return in_force.filter(expires__lt=(now + limits.FLOW_ENDING_BEFORE).date())
            case "ended":
                return queryset.filter(Q(expires__lt=now.date()) | Q(ended_at__isnull=False))
            case "unused":
                return in_force.filter(Q(last_used_at=None) | Q(last_used_at__lt=now - limits.FLOW_UNUSED))
        return queryset


class FlowAdmin(MadeByPrograms, ModelAdmin):
    """The register. Nothing is edited in place: what an operator says of a flow is a proposal first."""

    list_display = (
        "client", "state_shown", "ends_shown", "grant", "resource", "scopes_shown", "owner", "approved_by",
        "last_used_at", "asked_for",
    )  # fmt: skip
    list_filter = (StandingFilter, "state", "grant", "subject_class", "impersonation")
    list_select_related = ("client", "resource")
    search_fields = ("client__client_id", "resource__identifier", "owner", "approved_by", "purpose")
    actions = None
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Flow]:
        return Flow.objects.filter(client__retired_at=None).annotate(asked_for=Sum("evidence__count"))

    @admin.display(description="scopes")
    def scopes_shown(self, flow: Flow) -> str:
        """The names of its scopes."""
        return " ".join(flow.scopes) or "(none named)"

    @admin.display(description="state", ordering="state")
    def state_shown(self, flow: Flow) -> SafeString:
        """The state as a word, with a colour beside it; what only a request asked for is said to be that."""
        if _is_over(flow, now=timezone.now()):
            return format_html('<span class="cs-bad">{}</span>', "Ended")
        word = "Asked for" if flow.is_draft and not flow.owner else flow.get_state_display()
        return format_html('<span class="{}">{}</span>', STYLES.get(flow.state, ""), word)

    @admin.display(description="ends", ordering="expires")
    def ends_shown(self, flow: Flow) -> SafeString | str:
        """The last day, with the days left."""
        return _ends(flow, now=timezone.now())

    @admin.display(description="asked outside", ordering="asked_for")
    def asked_for(self, flow: Any) -> int | None:
        """How often something was asked for that it does not allow."""
        return flow.asked_for  # type: ignore[no-any-return]  # annotated by get_queryset

    def get_urls(self) -> list[URLPattern]:
        pages = (("propose", self.propose), ("approve", self.approve), ("refuse", self.refuse), ("end", self.end))
        own = [
            path(f"<int:flow_id>/{name}/", self.admin_site.admin_view(view), name=f"registry_flow_{name}")
            for name, view in pages
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One flow: how it stands, what was asked outside of it, and what can be done with it."""
        flow = self._get(object_id)
        if not self.has_view_permission(request, flow):
            raise PermissionDenied
        if request.method != "GET":
            raise PermissionDenied
        pending = pending_of(APPROVAL_KIND, flow.pk)
        is_open = flow.state == Flow.State.PROPOSED and pending is None
        context = {
            "pending": pending,
            "facts": summary(flow),
            "standing": standing_flow(flow),
            "drafts": Flow.objects.filter(
                client=flow.client, grant=flow.grant, resource=flow.resource, is_draft=True
            ).exclude(pk=flow.pk),
            "evidence": flow.evidence.all()[:50],
            "ends": _ends(flow, now=timezone.now()),
            "is_over": _is_over(flow, now=timezone.now()),
            "may_change": self.has_change_permission(request, flow),
            "may_propose": pending is None,
            "may_approve": is_open and bool(flow.owner) and not _needs_second(flow),
            "may_refuse": is_open,
            "may_end": flow.state == Flow.State.APPROVED and flow.ended_at is None,
        }
        return self._page(request, flow, "flow.html", title=f"Flow of {flow.client}", **context)

    def propose(self, request: HttpRequest, flow_id: int) -> HttpResponse:
        """Complete a proposal, or draft what shall replace the flow."""
        flow = self._get(flow_id, request)
        standing = standing_flow(flow)
        form = FlowForm(request.POST or None, flow=flow, standing=standing)
        if request.method == "POST" and form.is_valid():
            try:
                proposal = propose_flow(flow, actor=operator_actor(request), **form.wish())
            except BadValue as error:
                form.add_error(None, str(error))
            except BrokerError as error:
                form.add_error(None, error.refusal.meaning)
            else:
                second = _needs_second(proposal)
                text = "It waits for a second operator now." if second else "It can be approved now."
                messages.success(request, text)
                return HttpResponseRedirect(_address(proposal))
        return self._page(request, flow, "flow_form.html", title="Propose a flow", form=form, standing=standing)

    def approve(self, request: HttpRequest, flow_id: int) -> HttpResponse:
        """Approve what no second operator has to see."""
        flow = self._get(flow_id, request)
        if request.method != "POST":
            return HttpResponseRedirect(_address(flow))
        try:
            approved = approve_alone(flow, approved_by=request.user.get_username(), actor=operator_actor(request))
        except BadValue as error:
            messages.error(request, f"It cannot be approved: {error}.")
            return HttpResponseRedirect(_address(flow))
        messages.success(request, "It is approved and in force.")
        return HttpResponseRedirect(_address(approved))

    def refuse(self, request: HttpRequest, flow_id: int) -> HttpResponse:
        """Refuse a proposal that waits for nobody else."""
        flow = self._get(flow_id, request)
        if request.method == "POST":
            pending = pending_of(APPROVAL_KIND, flow.pk)
            if pending is not None:
                return HttpResponseRedirect(reverse("admin:approvals_approval_change", args=[pending.pk]))
            try:
                refuse_flow(flow, actor=operator_actor(request))
            except BadValue as error:
                messages.error(request, f"It cannot be refused: {error}.")
            else:
                messages.success(request, "It is refused; the same request does not propose it again.")
        return HttpResponseRedirect(_address(flow))

    def end(self, request: HttpRequest, flow_id: int) -> HttpResponse:
        """Ask by GET; by POST end it now."""
        flow = self._get(flow_id, request)
        if request.method == "POST":
            end_flow(flow, actor=operator_actor(request))
            messages.success(request, "It has ended: no token is issued by it from now on.")
            return HttpResponseRedirect(_address(flow))
        return self._page(request, flow, "flow_end.html", title="End a flow")

    def _get(self, flow_id: int | str, request: HttpRequest | None = None) -> Flow:
        """The flow; with `request`, whose operator must be allowed to change flows."""
        if request is not None and not self.has_change_permission(request):
            raise PermissionDenied
        rows = Flow.objects.select_related("client", "resource").filter(client__retired_at=None)
        return get_object_or_404(rows, pk=flow_id if str(flow_id).isdecimal() else 0)

    def _page(self, request: HttpRequest, flow: Flow, template: str, **context: Any) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "original": flow, "flow": flow}
        return TemplateResponse(request, f"admin/registry/{template}", shared | context | {"back": _address(flow)})


def _address(flow: Flow) -> str:
    return reverse("admin:registry_flow_change", args=[flow.pk])


def _needs_second(flow: Flow) -> bool:
    return needs_second_approval(data_classes=flow.data_classes, impersonation=flow.impersonation)


def _is_over(flow: Flow, *, now: datetime) -> bool:
    """It was in force and is not any more: its last day is over, or an operator ended it."""
    return flow.state == Flow.State.APPROVED and flow.ends_at is not None and flow.ends_at <= now


def _ends(flow: Flow, *, now: datetime) -> SafeString | str:
    """The last day and how far it is away; marked when it is near or past."""
    if flow.ended_at is not None:
        return format_html('<span class="cs-bad">ended {} by {}</span>', flow.ended_at.date(), flow.ended_by)
    if flow.ends_at is None:
        return "not said"
    days = (flow.ends_at - now).days
    left = f"{days} day{'' if days == 1 else 's'} left" if flow.ends_at > now else "ended"
    style = "cs-bad" if days < SOON_DAYS else ""
    return format_html('<span class="cs-nowrap {}">{} ({})</span>', style, flow.expires, left)
