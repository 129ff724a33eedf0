"""Conflicts and rules of authority in the console: looked at, simulated, and then decided."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse

from broker.directory.authority import explain_value
from broker.directory.authority_form import MomentForm, RuleForm
from broker.directory.conflicts import Decision, resolve_conflict, simulate_winning
from broker.directory.evidence import with_addresses
from broker.directory.looking import ReadOnlyAdmin, told
from broker.directory.models import AuthorityRule, Conflict
from broker.directory.provenance import TAKEN
from broker.directory.rules import Simulation, schedule_rule, simulate_rule, withdraw_rule
from broker.errors import BrokerError
from broker.http import operator_actor
from broker.refusals import BY_CODE

OVER = (Conflict.State.ENDED,)


class OpenFilter(admin.SimpleListFilter):
    """Shows the open conflicts unless others are asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        return [(value, label) for value, label in Conflict.State.choices if value != Conflict.State.OPEN] + [
            ("all", "all")
        ]

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            yield choice | ({"display": "open"} if choice["query_string"] == "?" else {})

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's signature
        if self.value() == "all":
            return queryset
        return queryset.filter(state=self.value() or Conflict.State.OPEN)


class ConflictAdmin(ReadOnlyAdmin):
    """What sources say without authority, and what is decided of it."""

    nothing_here = "No conflict is open. The filter shows those that were settled."
    list_display = ("attribute", "person", "source", "winner", "code", "state", "opened_at")
    list_filter = (OpenFilter, "attribute", "source", "code")
    list_select_related = ("person",)
    search_fields = ("person__id", "person__name", "source", "attribute")
    ordering = ("-id",)
    list_per_page = 50
    show_full_result_count = False
    actions = None

    def get_urls(self) -> list[URLPattern]:
        win = self.admin_site.admin_view(self.win)
        return [path("<int:conflict_id>/win/", win, name="directory_conflict_win"), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 - Django's signature
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 - Django's signature
    ) -> HttpResponse:
        """GET: both sides with their evidence. POST: what is in force stays, with a note."""
        conflict = self._get(object_id)
        if not self.has_view_permission(request, conflict):
            raise PermissionDenied
        form = MomentForm(request.POST or None)
        if request.method == "POST":
            if not self.has_operate_permission(request):
                raise PermissionDenied
            if form.is_valid():
                self._keep(request, conflict, form.cleaned_data["note"])
                return HttpResponseRedirect(_address(conflict))
        is_over = conflict.state in OVER
        may_decide = self.has_operate_permission(request) and not is_over
        return self.page(
            request,
            "conflict.html",
            title=f"Conflict about {conflict.attribute}",
            original=conflict,
            conflict=conflict,
            explained=with_addresses([explain_value(conflict.person, conflict.attribute)]),
            meaning=BY_CODE.get(conflict.code),
            form=form,
            is_over=is_over,
            may_keep=may_decide,
            may_win=may_decide and conflict.code != TAKEN,
        )

    def win(self, request: HttpRequest, conflict_id: int) -> HttpResponse:
        """Let the source that lost come first for everybody, after its simulation."""
        conflict = self._get(str(conflict_id))
        if not self.has_operate_permission(request):
            raise PermissionDenied
        form = MomentForm(request.POST or None)
        try:
            if request.method == "POST" and form.is_valid():
                entered = form.cleaned_data
                resolve_conflict(
                    conflict,
                    Decision.WIN,
                    actor=operator_actor(request),
                    note=entered["note"],
                    valid_from=entered["valid_from"],
                    expected=entered["expected"] if entered["expected"] is not None else -1,
                )
                messages.success(request, f"{conflict.source} comes first for {conflict.attribute} from then on.")
                return HttpResponseRedirect(_address(conflict))
        except BrokerError as error:
            form.add_error(None, told(error))
        try:
            simulation = simulate_winning(conflict)
        except BrokerError as error:
            messages.error(request, told(error))
            return HttpResponseRedirect(_address(conflict))
        return self.page(
            request,
            "rule_form.html",
            title=f"Let {conflict.source} win",
            original=conflict,
            form=_looked_at(form, simulation),
            simulation=simulation,
            back=_address(conflict),
        )

    def _keep(self, request: HttpRequest, conflict: Conflict, note: str) -> None:
        try:
            resolve_conflict(conflict, Decision.KEEP, actor=operator_actor(request), note=note)
            messages.success(request, "What is in force stays, until the source says something else.")
        except BrokerError as error:
            messages.error(request, told(error))

    def _get(self, key: str) -> Conflict:
        rows = Conflict.objects.select_related("person", "rule")
        return get_object_or_404(rows, pk=key if key.isdecimal() else 0)


class AuthorityRuleAdmin(ReadOnlyAdmin):
    """Which sources speak for which attribute, and since when."""

    list_display = ("attribute", "sources_shown", "valid_from", "state", "outcome", "created_by")
    list_filter = ("state", "attribute")
    search_fields = ("attribute", "created_by", "note")
    ordering = ("-id",)
    list_per_page = 50
    actions = None
    fields: ClassVar = [
        "attribute",
        "sources_shown",
        "valid_from",
        "state",
        "outcome",
        "note",
        "created_by",
        "created_at",
        "applied_at",
    ]
    readonly_fields: ClassVar = ["sources_shown", "outcome"]
    change_form_template = "admin/directory/rule.html"

    @admin.display(description="sources, the best first")
    def sources_shown(self, rule: AuthorityRule) -> str:
        """The sources in their order."""
        return ", ".join(rule.sources) or "the usual order"

    @admin.display(description="applied to")
    def outcome(self, rule: AuthorityRule) -> str:
        """How many it met, in words: nobody checked is no success."""
        if rule.state in (AuthorityRule.State.SCHEDULED, AuthorityRule.State.WITHDRAWN):
            return "nobody yet" if rule.state == AuthorityRule.State.SCHEDULED else "nobody"
        if not rule.checked:
            return "nobody was there to be checked"
        return f"checked {rule.checked}, changed {rule.changed}"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return self.has_operate_permission(request)

    def get_urls(self) -> list[URLPattern]:
        withdraw = self.admin_site.admin_view(self.withdraw)
        return [
            path("<int:rule_id>/withdraw/", withdraw, name="directory_authorityrule_withdraw"),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ARG002 - Django's signature
        """Simulate a rule, and schedule what was looked at."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = RuleForm(request.POST or None)
        simulation: Simulation | None = None
        if request.method == "POST" and form.is_valid():
            entered = form.cleaned_data
            try:
                if request.POST.get("act") == "schedule" and entered["expected"] is not None:
                    rule, _ = schedule_rule(
                        entered["attribute"],
                        entered["sources"],
                        valid_from=entered["valid_from"],
                        actor=operator_actor(request),
                        note=entered["note"],
                        expected=entered["expected"],
                    )
                    messages.success(request, "It is scheduled.")
                    return HttpResponseRedirect(reverse("admin:directory_authorityrule_change", args=[rule.pk]))
                simulation = simulate_rule(entered["attribute"], entered["sources"])
            except BrokerError as error:
                form.add_error(None, told(error))
        return self.page(
            request,
            "rule_form.html",
            title="Change who speaks for an attribute",
            form=_looked_at(form, simulation),
            simulation=simulation,
            is_rule=True,
            back=reverse("admin:directory_authorityrule_changelist"),
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The rule, with a button for what can still be taken back."""
        rule = AuthorityRule.objects.filter(pk=object_id if object_id.isdecimal() else 0).first()
        may_withdraw = (
            rule is not None and rule.state == AuthorityRule.State.SCHEDULED and self.has_operate_permission(request)
        )
        extra = {**(extra_context or {}), "may_withdraw": may_withdraw, "rule": rule}
        answer: HttpResponse = super().change_view(request, object_id, form_url, extra)
        return answer

    def withdraw(self, request: HttpRequest, rule_id: int) -> HttpResponse:
        """Take a rule back before it begins."""
        rule = get_object_or_404(AuthorityRule, pk=rule_id)
        if not self.has_operate_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            try:
                withdraw_rule(rule, actor=operator_actor(request))
                messages.success(request, "It is taken back.")
            except BrokerError as error:
                messages.error(request, told(error))
        return HttpResponseRedirect(reverse("admin:directory_authorityrule_change", args=[rule.pk]))


def _address(conflict: Conflict) -> str:
    return reverse("admin:directory_conflict_change", args=[conflict.pk])


def _looked_at(form: MomentForm, simulation: Simulation | None) -> MomentForm:
    """The form with the number that is on the page beside it."""
    if form.is_bound:
        form.data = {**form.data.dict(), "expected": "" if simulation is None else str(simulation.changed)}  # type: ignore[attr-defined]  # a bound form of a request holds a QueryDict
    elif simulation is not None:
        form.initial["expected"] = simulation.changed
    return form
