"""Policies in the console: their versions with lines and flips, what was in force when, and what they may speak of."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from broker.access.activation import request_activation, request_retirement
from broker.access.models import Policy, PolicySchema, PolicySet, PolicyVersion
from broker.access.policy_form import PolicyForm, SchemaForm
from broker.access.registering import discard, end_trial, try_version
from broker.access.shadow import flips_of, report
from broker.console_rows import MadeByPrograms
from broker.errors import BrokerError
from broker.http import operator_actor
from broker.registry.party_admin import PartyAdmin
from broker.registry.values import BadValue

State = PolicyVersion.State
FLIPS_SHOWN = 50
STYLES: dict[str, str] = {State.ACTIVE: "cs-good", State.RETIRED: "cs-nothing"}
ACTS = {
    "try": (try_version, "is tried beside what is in force"),
    "end_trial": (end_trial, "is tried no more"),
    "discard": (discard, "is discarded"),
    "activate": (request_activation, "waits for a second operator, who brings it into force"),
    "retire": (request_retirement, "waits for a second operator, who takes it out of force"),
}
OFFERED: dict[str, tuple[tuple[str, str], ...]] = {
    State.DRAFT: (("try", "Try it"), ("activate", "Ask to bring it into force"), ("discard", "Discard")),
    State.CANDIDATE: (("activate", "Ask to bring it into force"), ("end_trial", "End the trial")),
    State.ACTIVE: (("retire", "Ask to take it out of force"),),
    State.RETIRED: (),
}


class LookingAdmin(MadeByPrograms, ModelAdmin):
    """Rows that no form changes, each with a page of its own."""

    actions = None
    list_per_page = 50

    def shown(self, request: HttpRequest, found: Model | None) -> Model:
        """The row, if it is there and this account may look. Raises Http404, PermissionDenied."""
        if not self.has_view_permission(request, found):
            raise PermissionDenied
        if found is None:
            raise Http404
        return found

    def page(self, request: HttpRequest, template: str, found: Model, **context: Any) -> HttpResponse:
        """The page of a row."""
        standing = {**self.admin_site.each_context(request), "opts": self.opts, "original": found}
        return TemplateResponse(request, f"admin/access/{template}", standing | context)


class PolicyAdmin(PartyAdmin):
    """Policies, each with its owner and the versions of its rules."""

    form = PolicyForm
    fixed = ("slug",)
    shown = ("versions_shown", "created_at")
    actions_detail: ClassVar = []
    list_display = ("slug", "name", "owner", "in_force", "tried")
    search_fields = ("slug", "name", "owner")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Policy]:  # noqa: ARG002 - Django's signature
        versions = PolicyVersion.objects.select_related("policy").order_by("-number")
        return Policy.objects.prefetch_related(Prefetch("versions", versions))

    @admin.display(description="in force")
    def in_force(self, policy: Policy) -> str:
        """The active version, and since when."""
        active = [one for one in policy.versions.all() if one.state == State.ACTIVE]
        return f"version {active[0].number} since {active[0].activated_at:%Y-%m-%d}" if active else "nothing"

    @admin.display(description="tried")
    def tried(self, policy: Policy) -> str:
        """What the candidate would have changed."""
        tried = [one for one in policy.versions.all() if one.state == State.CANDIDATE]
        return f"version {tried[0].number} {report(tried[0]).sentence}" if tried else "nothing"

    @admin.display(description="versions")
    def versions_shown(self, policy: Policy) -> SafeString:
        """Every version with its state, linked to its page."""
        rows = (
            (
                reverse("admin:access_policyversion_change", args=[one.pk]),
                one.number,
                one.get_state_display(),
                one.created_by,
            )
            for one in policy.versions.all()
        )
        return format_html_join("", '<div><a href="{}">Version {}</a>: {}, by {}</div>', rows)


class PolicyVersionAdmin(LookingAdmin):
    """One text of a policy with its line numbers, what it would change, and what may become of it."""

    list_display = ("__str__", "state_shown", "owner", "created_by", "created_at", "approved_by", "activated_at")
    list_filter = ("state",)
    list_select_related = ("policy",)
    search_fields = ("policy__slug", "policy__name", "created_by", "approved_by")

    @admin.display(description="state", ordering="state")
    def state_shown(self, version: PolicyVersion) -> SafeString:
        """The state as a word, with a colour beside it."""
        return format_html('<span class="{}">{}</span>', STYLES.get(version.state, ""), version.get_state_display())

    @admin.display(description="owner", ordering="policy__owner")
    def owner(self, version: PolicyVersion) -> str:
        """The policy's owner."""
        return version.policy.owner or "no owner"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 - Django's signature
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 - Django's signature
    ) -> HttpResponse:
        """GET: the version. POST: what shall become of it. An approval names it with its way before a colon."""
        key = object_id.rpartition(":")[2]
        rows = PolicyVersion.objects.select_related("policy")
        version: Any = self.shown(request, rows.filter(pk=key).first() if key.isdecimal() else None)
        if request.method == "POST":
            return self._become(request, version)
        flips = flips_of(version)
        return self.page(
            request,
            "policy_version.html",
            version,
            title=f"{version.policy} {version.number}",
            version=version,
            lines=version.source.rstrip("\n").split("\n"),
            told=report(version) if version.tried_since else None,
            flips=flips[:FLIPS_SHOWN],
            acts=OFFERED[version.state] if self.has_change_permission(request) else (),
        )

    def _become(self, request: HttpRequest, version: PolicyVersion) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        act, told = ACTS.get(request.POST.get("act", ""), (None, ""))
        if act is None:
            messages.error(request, "Choose what shall become of it.")
        else:
            try:
                act(version, actor=operator_actor(request))
                messages.success(request, f"{version} {told}.")
            except BadValue as error:
                messages.error(request, str(error))
            except BrokerError as error:
                messages.error(request, f"{error.refusal.meaning} {error.refusal.remedy}")
        return HttpResponseRedirect(reverse("admin:access_policyversion_change", args=[version.pk]))


class PolicySetAdmin(LookingAdmin):
    """What was in force from one change to the next, the built-in rules included."""

    list_display = ("number", "created_at", "cause", "created_by", "size")
    ordering = ("-number",)

    @admin.display(description="versions in force")
    def size(self, policy_set: PolicySet) -> int:
        """How many versions are in force."""
        return len(policy_set.members)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 - Django's signature
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 - Django's signature
    ) -> HttpResponse:
        """The set with its members, its candidates and the text of the built-in rules."""
        found = PolicySet.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        policy_set: Any = self.shown(request, found)
        versions = PolicyVersion.objects.select_related("policy").order_by("policy__slug", "number")
        return self.page(
            request,
            "policy_set.html",
            policy_set,
            title=f"Policy set {policy_set.number}",
            policy_set=policy_set,
            members=versions.filter(pk__in=[int(key) for key in policy_set.members]),
            candidates=versions.filter(pk__in=policy_set.candidates),
        )


class PolicySchemaAdmin(PartyAdmin):
    """What policies may speak of. Adding one replaces the last, which stays readable."""

    form = SchemaForm
    shown = ("number", "created_by", "created_at")
    actions_detail: ClassVar = []
    list_display = ("number", "created_by", "created_at")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Once it is declared, the text stands in its lines."""
        fields = super().get_fields(request, obj)
        return fields if obj is None else ("lines", *(name for name in fields if name != "source"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*super().get_readonly_fields(request, obj), "lines")

    @admin.display(description="types and actions")
    def lines(self, schema: PolicySchema) -> SafeString | str:
        """The declarations as they were written."""
        return format_html('<pre class="cs-message" tabindex="0">{}</pre>', schema.source) if schema.source else ""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return False
