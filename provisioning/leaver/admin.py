"""Leavers in the console: who left, what is still open, and the certificate with its evidence."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from broker.console_rows import MadeByPrograms
from broker.errors import BrokerError
from broker.events.models import Event, Seal
from broker.http import operator_actor
from broker.registry.values import BadValue
from provisioning.leaver import services
from provisioning.leaver.certificate import certify
from provisioning.leaver.exporting import as_text, export_case, name_of
from provisioning.leaver.models import Case, Item
from provisioning.leaver.program import NAME, verifier_text
from provisioning.leaver.telling import SUBJECT

STYLES = {Case.State.GREEN: "cs-good", Case.State.LATE: "cs-bad", Case.State.REOPENED: "cs-bad"}
EVENTS_SHOWN = 100


class RedFilter(admin.SimpleListFilter):
    """What an operator looks for first."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("red", "red: late or reopened"), ("open", "not closed yet"), ("lied", "a target lied")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:
        match self.value():
            case "red":
                return queryset.filter(state__in=Case.RED)
            case "open":
                return queryset.filter(state__in=[Case.State.OPEN, *Case.RED])
            case "lied":
                return queryset.filter(pk__in=Item.objects.exclude(lied_at=None).values("case"))
        return queryset


@admin.register(Case)
class CaseAdmin(MadeByPrograms, ModelAdmin):
    """Cases, the newest first. Nothing of a case is edited: an operator names owners, or takes responsibility."""

    nothing_here = "Nobody has left yet. A case opens by itself when a person's account is closed."
    list_display = ("person", "state_shown", "open_shown", "left_at", "statement_shown")
    list_filter = (RedFilter, "state", "left_at")
    search_fields = ("=id", "=person__id", "person__name")
    search_help_text = "The id of a case or a person, or a person's name"
    list_per_page = 50
    show_full_result_count = False
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Case]:
        late = Count("items", filter=Q(items__state=Item.State.OPEN, items__late_at__isnull=False))
        rows = Case.objects.select_related("person").annotate(late_count=late)
        return rows.prefetch_related(Prefetch("items", Item.objects.order_by("kind", "title", "pk")))

    @admin.display(description="state", ordering="state")
    def state_shown(self, case: Case) -> SafeString:
        """Green, late or what else, with a colour beside the word."""
        style = STYLES.get(Case.State(case.state), "")
        return format_html('<span class="{}">{}</span>', style, case.get_state_display())

    @admin.display(description="open")
    def open_shown(self, case: Case) -> str:
        """What is open, by name."""
        open_items = [item.title for item in case.items.all() if item.is_open]
        named = ", ".join(open_items[:3]) + (f" and {len(open_items) - 3} more" if len(open_items) > 3 else "")
        return named or "nothing"

    @admin.display(description="certificate")
    def statement_shown(self, case: Case) -> str:
        """What may be said of it."""
        return certify(case, list(case.items.all())).statement

    def get_urls(self) -> list[URLPattern]:
        pages = (
            ("certificate", self.certificate),
            ("export", self.export),
            ("verifier", self.verifier),
            ("owner", self.owner),
            ("accept", self.accept),
            ("ask", self.ask),
        )
        own = [
            path(f"<uuid:case_id>/{name}", self.admin_site.admin_view(view), name=f"leaver_case_{name}")
            for name, view in pages
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A case, item by item, with what an operator may decide."""
        case = self._case(request, object_id)
        items = list(case.items.all())
        history = Event.objects.filter(subject_kind=SUBJECT, subject_id=str(case.pk)).order_by("-id")
        live = case.closed_at is None and self.has_change_permission(request, case)
        return self._page(
            request,
            "case.html",
            case,
            items=items,
            events=history[:EVENTS_SHOWN],
            style=STYLES.get(Case.State(case.state), ""),
            owned=[item for item in items if item.is_open and item.kind == Item.Kind.OWNERSHIP] if live else [],
            may_ask=live and any(item.kind == Item.Kind.TARGET for item in items),
            acceptable=[item for item in items if item.is_open and item.code in services.ACCEPTABLE] if live else [],
        )

    def certificate(self, request: HttpRequest, case_id: Any) -> HttpResponse:
        """The certificate, to be printed."""
        case = self._case(request, case_id)
        last = Seal.objects.order_by("-id").defer("ids", "row_marks").first()
        return self._page(request, "certificate.html", case, seal=last, at=timezone.now(), items=list(case.items.all()))

    def export(self, request: HttpRequest, case_id: Any) -> HttpResponse:
        """The signed export as a file."""
        case = self._case(request, case_id)
        return _file(
            as_text(export_case(case, actor=operator_actor(request))), name_of(case, at=timezone.now()), "json"
        )

    def verifier(self, request: HttpRequest, case_id: Any) -> HttpResponse:
        """The program that judges an export."""
        self._case(request, case_id)
        return _file(verifier_text(), NAME, "x-python")

    def owner(self, request: HttpRequest, case_id: Any) -> HttpResponse:
        """POST: name a new owner of what was chosen."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        case = self._case(request, case_id, may_change=True)
        chosen = [int(raw) for raw in request.POST.getlist("item") if raw.isdigit()]
        try:
            count = services.name_owner(
                case, chosen, owner=request.POST.get("owner", ""), actor=operator_actor(request)
            )
        except (BadValue, BrokerError) as error:
            messages.error(request, _words(error))
        else:
            messages.success(request, f"{count} {'thing has' if count == 1 else 'things have'} a new owner.")
        return self._back(case)

    def accept(self, request: HttpRequest, case_id: Any) -> HttpResponse:
        """POST: take the responsibility for one item."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        case = self._case(request, case_id, may_change=True)
        raw_item = request.POST.get("item", "")
        number = int(raw_item) if raw_item.isdigit() else 0
        try:
            item = services.accept_item(case, number, note=request.POST.get("note", ""), actor=operator_actor(request))
        except BrokerError as error:
            messages.error(request, _words(error))
        else:
            messages.success(request, f"You answer for {item.title}.")
        return self._back(case)

    def ask(self, request: HttpRequest, case_id: Any) -> HttpResponse:
        """POST: ask the targets now."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        case = self._case(request, case_id, may_change=True)
        try:
            count = services.ask_again(case, actor=operator_actor(request))
        except BrokerError as error:
            messages.error(request, _words(error))
        else:
            if count:
                places = "1 target is" if count == 1 else f"{count} targets are"
                messages.success(request, f"{places} asked now. Look at this page again in a moment.")
            else:
                messages.warning(request, "No target was asked: nothing waits there that may be tried.")
        return self._back(case)

    def _case(self, request: HttpRequest, case_id: Any, *, may_change: bool = False) -> Case:
        case = get_object_or_404(self.get_queryset(request), pk=case_id)
        allowed = self.has_change_permission if may_change else self.has_view_permission
        if not allowed(request, case):
            raise PermissionDenied
        return case

    def _page(self, request: HttpRequest, template: str, case: Case, **context: Any) -> HttpResponse:
        title = f"{case.person}, left {case.left_at:%Y-%m-%d}"
        certificate = certify(case, context["items"])
        standing = {**self.admin_site.each_context(request), "opts": self.opts, "original": case, "title": title}
        return TemplateResponse(
            request, f"admin/leaver/{template}", {**standing, "case": case, "certificate": certificate, **context}
        )

    def _back(self, case: Case) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:leaver_case_change", args=[case.pk]))


def _words(error: BadValue | BrokerError) -> str:
    return f"{error.refusal.meaning} {error.refusal.remedy}" if isinstance(error, BrokerError) else str(error)


def _file(text: str, name: str, kind: str) -> HttpResponse:
    answer = HttpResponse(text, content_type=f"application/{kind}; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "no-store"
    return answer
