"""The operators' queue: what has not arrived and why, each attempt at it, and the lanes with their circuits."""

import json
from collections.abc import Callable
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from broker import limits
from broker.console_rows import MadeByPrograms
from broker.delivery.models import Attempt, Delivery, Lane
from broker.delivery.progress import counts, standing
from broker.delivery.services import pause_lane, resume_lane, retry, write_off
from broker.errors import BrokerError
from broker.http import operator_actor
from broker.refusals import find_refusal

State = Delivery.State
STYLES: dict[str, str] = {State.CONFIRMED: "cs-good", State.DEAD: "cs-bad"}
LANE_STYLES: dict[str, str] = {Lane.State.BROKEN: "cs-bad", Lane.State.STOPPED: "cs-bad", Lane.State.PAUSED: "cs-bad"}
SUBJECT_PAGES = {"person": "admin:directory_person_change", "leaver": "admin:leaver_case_change"}
"""The console's page of what a row is about, by the first word of its subject."""
LANES_NAMED = 10
"""Lanes that are named above the queue, since nothing goes through them."""


class QueueFilter(admin.SimpleListFilter):
    """Shows what is not decided and what is dead, unless something else is asked for."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("dead", "dead letters"), ("late", "late"), ("held", "held back"), ("all", "all, also what arrived")]

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            yield choice | ({"display": "waits or is dead"} if choice["query_string"] == "?" else {})

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        match self.value():
            case "all":
                return queryset
            case "dead":
                return queryset.filter(state=State.DEAD)
            case "late":
                before = timezone.now() - limits.DELIVERY_LATE
                return queryset.filter(settled_at=None, must_arrive=True, created_at__lte=before)
            case "held":
                return queryset.filter(settled_at=None).exclude(hold="")
        return queryset.filter(Q(settled_at=None) | Q(state=State.DEAD))


class KindFilter(admin.SimpleListFilter):
    """By kind. Settings give the choices: asking the table would read all of it."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind, kind) for kind in sorted(settings.DELIVERY_HANDLERS)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class _Watched(MadeByPrograms, ModelAdmin):
    """Rows that nobody adds, edits or deletes here: operators decide about them on their pages."""

    list_per_page = 50
    show_full_result_count = False

    def page(self, request: HttpRequest, template: str, **context: Any) -> TemplateResponse:
        """One of our pages within the console."""
        around = {**self.admin_site.each_context(request), "opts": self.opts}
        return TemplateResponse(request, f"admin/delivery/{template}", around | context)

    def found(self, request: HttpRequest, object_id: str) -> Any:
        """The row, for an operator who may see it."""
        row = self.model.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            raise Http404
        return row


@admin.register(Delivery)
class DeliveryAdmin(_Watched):
    """Deliveries, the newest first."""

    nothing_here = "Nothing waits and nothing is dead. The filter “all” shows what arrived."
    list_display = ("named", "lane", "kind", "state_shown", "why", "attempts", "due_shown", "created_at")
    list_display_links = ("named",)
    list_filter = (QueueFilter, "state", KindFilter, "priority")
    search_fields = ("=id", "=lane", "=subject", "=reference", "=trace_id")
    search_help_text = "The id of a delivery, a lane, a subject, what it is part of, or a trace id, exactly"
    list_before_template = "admin/delivery/standing.html"
    actions: ClassVar = ["retry_selected", "write_off_selected"]

    @admin.display(description="delivery")
    def named(self, row: Delivery) -> SafeString | str:
        """What it is about, in words where there are some, and of whom: many rows have the same words."""
        if not row.title:
            return row.subject
        return format_html('{} <small class="cs-subject">{}</small>', row.title, row.subject)

    @admin.display(description="state", ordering="state")
    def state_shown(self, row: Delivery) -> SafeString:
        """The state as a word, with a colour beside it."""
        held = ", held back" if row.hold and not row.settled_at else ""
        return format_html('<span class="{}">{}{}</span>', STYLES.get(row.state, ""), row.get_state_display(), held)

    @admin.display(description="why")
    def why(self, row: Delivery) -> str:
        """The code and detail of the last outcome."""
        return f"{row.reason}: {row.detail}" if row.reason and row.detail else row.reason or "-"

    @admin.display(description="next attempt", ordering="due_at")
    def due_shown(self, row: Delivery) -> Any:
        """When it is tried next; nothing where it is not."""
        return None if row.settled_at or row.lease_until else row.due_at

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The queue, under the counts of all lanes."""
        stopped = Lane.objects.exclude(state=Lane.State.OPEN).order_by("name")[:LANES_NAMED]
        above = {"standing": standing(timezone.now()), "stopped": stopped}
        page: HttpResponse = super().changelist_view(request, {**(extra_context or {}), **above})
        return page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """GET: a delivery with its attempts. POST: the operator's decision."""
        row: Delivery = self.found(request, object_id)
        if request.method == "POST":
            return self._decide(request, row)
        waits = not row.lease_until and (not row.settled_at or row.state == State.DEAD)
        return self.page(
            request,
            "delivery.html",
            title=f"Delivery {row.pk}",
            original=row,
            row=row,
            about=_page_of(row.subject),
            style=STYLES.get(row.state, ""),
            lane=Lane.objects.filter(name=row.lane).first(),
            payload=json.dumps(row.payload, indent=2, sort_keys=True, ensure_ascii=False) if row.payload else "",
            attempts=Attempt.objects.filter(delivery=row).order_by("number"),
            meaning=_meaning(row.reason),
            may_decide=waits and self.has_change_permission(request, row),
        )

    @admin.action(description="Retry now", permissions=["change"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Attempt each of these at once."""
        self._each(request, queryset, lambda row: retry(row, actor=operator_actor(request)), done="sent again")

    @admin.action(description="Write off", permissions=["change"])
    def write_off_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> HttpResponse | None:
        """Ask for the reason, then give each of these up."""
        if "decided" not in request.POST:
            back = reverse("admin:delivery_delivery_changelist")
            return self.page(request, "write_off.html", title="Write off", rows=list(queryset), back=back)
        reason = request.POST.get("reason", "")
        self._each(
            request,
            queryset,
            lambda row: write_off(row, reason=reason, actor=operator_actor(request)),
            done="written off",
        )
        return None

    def _decide(self, request: HttpRequest, row: Delivery) -> HttpResponse:
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        again = HttpResponseRedirect(reverse("admin:delivery_delivery_change", args=[row.pk]))
        decision, reason = request.POST.get("decision", ""), request.POST.get("reason", "")
        try:
            if decision == "retry":
                retry(row, actor=operator_actor(request))
            elif decision == "write_off":
                write_off(row, reason=reason, actor=operator_actor(request))
            else:
                messages.error(request, "Choose what shall become of it.")
                return again
        except BrokerError as error:
            messages.error(request, f"{error.refusal.meaning} {error.refusal.remedy}")
            return again
        messages.success(request, "It is sent again." if decision == "retry" else "It is written off.")
        return again

    def _each(
        self, request: HttpRequest, rows: QuerySet[Delivery], decide: Callable[[Delivery], Delivery], *, done: str
    ) -> None:
        decided, refusals = 0, set()
        for row in rows.order_by("pk"):
            try:
                decide(row)
                decided += 1
            except BrokerError as error:
                refusals.add(error.refusal)
        if decided:
            messages.success(request, f"{decided} {'delivery is' if decided == 1 else 'deliveries are'} {done}.")
        for refusal in refusals:
            messages.error(request, f"{refusal.meaning} {refusal.remedy}")


@admin.register(Lane)
class LaneAdmin(_Watched):
    """The ways to receivers, and why nothing goes through some of them."""

    nothing_here = "No lane yet: the first delivery to a receiver makes one."
    list_display = ("name", "state_shown", "reason", "waits_until", "carried_at")
    list_filter = ("state",)
    search_fields = ("name",)
    actions = None

    @admin.display(description="state", ordering="state")
    def state_shown(self, lane: Lane) -> SafeString:
        """The state as a word, with a colour beside it."""
        return format_html('<span class="{}">{}</span>', LANE_STYLES.get(lane.state, ""), lane.get_state_display())

    @admin.display(description="tried again", ordering="not_before")
    def waits_until(self, lane: Lane) -> Any:
        """Until when nothing is sent; nothing where it is."""
        return lane.not_before if _waits(lane) else None

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """GET: a lane with its counts. POST: the operator pauses or resumes it."""
        lane: Lane = self.found(request, object_id)
        if request.method == "POST":
            return self._decide(request, lane)
        return self.page(
            request,
            "lane.html",
            title=lane.name,
            original=lane,
            lane=lane,
            style=LANE_STYLES.get(lane.state, ""),
            waits=_waits(lane),
            counts=counts(lane.name),
            may_decide=self.has_change_permission(request, lane),
        )

    def _decide(self, request: HttpRequest, lane: Lane) -> HttpResponse:
        if not self.has_change_permission(request, lane):
            raise PermissionDenied
        again = HttpResponseRedirect(reverse("admin:delivery_lane_change", args=[lane.pk]))
        try:
            if request.POST.get("decision") == "pause":
                pause_lane(lane.name, reason=request.POST.get("reason", ""), actor=operator_actor(request))
                messages.success(request, "Nothing is sent here until it is resumed.")
            elif request.POST.get("decision") == "resume":
                resume_lane(lane.name, actor=operator_actor(request))
                messages.success(request, "What waits here is sent.")
            else:
                messages.error(request, "Choose what shall become of it.")
        except BrokerError as error:
            messages.error(request, f"{error.refusal.meaning} {error.refusal.remedy}")
        return again


def _page_of(subject: str) -> str:
    kind, _, key = subject.partition(":")
    try:
        return reverse(SUBJECT_PAGES[kind], args=[key])
    except (KeyError, NoReverseMatch):
        return ""


def _waits(lane: Lane) -> bool:
    return lane.not_before is not None and lane.not_before > timezone.now()


def _meaning(code: str) -> Any:
    """What the public catalogue says of a code; not all of them are in it."""
    try:
        return find_refusal(code)
    except KeyError:
        return None
