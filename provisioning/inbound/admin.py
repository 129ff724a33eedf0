"""Sources of people in the console: who they are, their tokens, and the journal of what each asked."""

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action

from broker.console_rows import ReadOnly
from broker.events.catalogue import SCIM_JOURNAL_READ
from broker.events.services import record
from broker.http import operator_actor
from broker.refusals import BY_CODE
from broker.registry.forms import LinesField, PartyForm
from broker.registry.party_admin import LiveFilter, PartyAdmin
from provisioning.inbound import sources
from provisioning.inbound.journal import APPLIED, CONFLICT, KEPT, read_sealed
from provisioning.inbound.models import JournalEntry, PendingMember, ScimSource, SourceToken
from provisioning.inbound.tokens import issue_token

STYLES = {APPLIED: "cs-good", CONFLICT: "cs-bad", KEPT: "cs-warn"}
WORDS = {KEPT: "kept, another source's word counts", CONFLICT: "kept, in conflict with another source"}


class SourceForm(PartyForm):
    """A source, saved by its service."""

    authoritative_for = LinesField(
        label="Attributes",
        required=False,
        help_text="The attributes of a person that it may write, one on each line; empty: all.",
    )

    class Meta:
        model = ScimSource
        fields = (
            "organisation",
            "slug",
            "name",
            "owner",
            "enabled",
            "dialect",
            "unknown_members",
            "match_external_id",
            "authoritative_for",
        )

    def register(self) -> ScimSource:
        """See PartyForm."""
        fields = self.entered(*sources.SourceFields.__annotations__)
        if self.is_new:
            organisation = self.cleaned_data["organisation"]
            slug = self.cleaned_data["slug"]
            return sources.create_source(slug, organisation=organisation, actor=self.actor, **fields)
        return sources.change_source(self.row(), actor=self.actor, **fields)


class TokenInline(ReadOnly, TabularInline):
    """A source's tokens: when each ends and was used, never what it is."""

    model = SourceToken
    fields = ("id", "created_at", "created_by", "expires_at", "last_used_at", "last_used_from")
    readonly_fields = fields
    extra = 0


@admin.register(ScimSource)
class ScimSourceAdmin(PartyAdmin):
    """The systems that write people over SCIM."""

    form = SourceForm
    fixed = ("organisation", "slug")
    shown = ("created_at", "retired_at")
    inlines: ClassVar = [TokenInline]
    retire_with = staticmethod(sources.retire_source)
    actions_detail: ClassVar = ["issue_token", "retire"]
    list_display = ("slug", "name", "organisation", "owner", "dialect", "unknown_members", "enabled", "last_request")
    list_filter = (LiveFilter, "enabled", "dialect")
    list_select_related = ("organisation",)
    search_fields = ("slug", "name", "owner")

    @admin.display(description="last request")
    def last_request(self, source: ScimSource) -> str:
        """When it was last heard of, and what came of it."""
        entry = source.journal.order_by("-id").first()
        return f"{entry.at:%Y-%m-%d %H:%M} UTC, answered {entry.status}" if entry else "never"

    @action(description="Issue a token", icon="key", url_path="issue-token", permissions=["change"])
    def issue_token(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask by GET; by POST make a token and show it."""
        source = get_object_or_404(ScimSource, pk=object_id)
        if not self.has_change_permission(request, source):
            raise PermissionDenied
        token = issue_token(source, actor=operator_actor(request)) if request.method == "POST" else ""
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "Issue a token"}
        back = self.address("change", source.pk)
        page = {**context, "source": source, "secret": token, "back": back}
        return TemplateResponse(request, "admin/inbound/token.html", page)


@admin.register(JournalEntry)
class JournalAdmin(ReadOnly, ModelAdmin):
    """Every request of every source, the newest first."""

    nothing_here = "No source has sent a request yet. Issue a token for one, and enter it there."
    list_display = ("at", "source", "method", "resource", "status", "code", "summary", "trace_id")
    list_filter = ("source", "method", "resource", "status", "at")
    list_filter_submit = True
    list_select_related = ("source",)
    search_fields = ("trace_id__exact", "subject__exact", "code__exact")
    search_help_text = "A trace id, the id of a person or group, or a code"
    ordering = ("-id",)
    show_full_result_count = False
    list_per_page = 50
    actions = None

    @admin.display(description="what came of it")
    def summary(self, entry: JournalEntry) -> str:
        """Attributes by what became of them, and counts."""
        words: dict[str, int] = {}
        for one in entry.effects:
            words[one["effect"]] = words.get(one["effect"], 0) + 1
        parts = [f"{number} {word}" for word, number in words.items()]
        return ", ".join(parts + [f"{number} {word}" for word, number in entry.counts.items()])

    def get_queryset(self, request: HttpRequest) -> QuerySet[JournalEntry]:
        """Without what is sealed: a list opens nothing."""
        rows: QuerySet[JournalEntry] = super().get_queryset(request)
        return rows.defer("sealed")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One request: what was sent, and what became of each attribute. Opening it is an event."""
        entry = JournalEntry.objects.select_related("source").filter(pk=object_id).first()
        if not self.has_view_permission(request, entry):
            raise PermissionDenied
        if entry is None:
            raise Http404
        record(
            SCIM_JOURNAL_READ, actor=operator_actor(request), subject=("journal", entry.pk), source=entry.source.slug
        )
        sealed = read_sealed(entry)
        effects = [
            {**one, "style": STYLES.get(one["effect"], ""), "word": WORDS.get(one["effect"], one["effect"])}
            for one in entry.effects
        ]
        context = {
            **self.admin_site.each_context(request),
            **(extra_context or {}),
            "opts": self.opts,
            "title": f"Request {entry.trace_id}",
            "original": entry,
            "entry": entry,
            "effects": effects,
            "sent": _pretty(sealed.get("sent", "")),
            "cut": sealed.get("cut"),
            "detail": sealed.get("detail", ""),
            "refusal": BY_CODE.get(entry.code),
            "person": _person_address(entry),
        }
        return TemplateResponse(request, "admin/inbound/entry.html", context)


@admin.register(PendingMember)
class PendingMemberAdmin(ReadOnly, ModelAdmin):
    """Members whom a source named before it told of the person."""

    list_display = ("source", "group", "value", "created_at")
    list_filter = ("source",)
    list_select_related = ("source", "group")
    search_fields = ("value__exact",)
    actions = None

    def change_view(self, request: HttpRequest, object_id: str, **kwargs: Any) -> HttpResponse:
        """There is no page of one: the list says all of it."""
        del object_id, kwargs
        del request
        return HttpResponseRedirect(reverse("admin:inbound_pendingmember_changelist"))


def _pretty(sent: str) -> str:
    """JSON on lines; what was cut stays as it is."""
    try:
        return json.dumps(json.loads(sent), indent=2, ensure_ascii=False)
    except ValueError:
        return sent


def _person_address(entry: JournalEntry) -> str:
    """The page of the person, where the entry is about one."""
    if not entry.subject or not entry.resource.startswith("Users"):
        return ""
    return reverse("admin:directory_person_change", args=[entry.subject])
