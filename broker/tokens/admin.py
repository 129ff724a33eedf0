"""Grants in the console: read, and revoked with all their tokens; never changed, never deleted by hand."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import action

from broker.console_rows import ReadOnly
from broker.directory.models import Person
from broker.http import operator_actor
from broker.registry.models import Client
from broker.tokens.holdings_admin import show_holdings_of
from broker.tokens.models import Grant
from broker.tokens.services import revoke_grant

CHILDREN_SHOWN = 50

show_holdings_of(Client)
show_holdings_of(Person)


@admin.register(Grant)
class GrantAdmin(ReadOnly, ModelAdmin):
    """What was given to whom, and until when."""

    list_display = (
        "id",
        "grant_type",
        "client",
        "subject",
        "resource",
        "scopes_shown",
        "acting",
        "created_at",
        "expires_at",
        "revoked_at",
        "revoke_reason",
    )
    list_filter = ("grant_type", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("id", "client__client_id", "person__name", "resource__identifier")
    list_select_related = ("client", "person", "subject_client", "resource")
    fields = (
        "id",
        "grant_type",
        "client",
        "subject",
        "resource",
        "scopes_shown",
        "acting",
        "impersonation",
        "session",
        "identity_provider",
        "authenticated_at",
        "context",
        "parent",
        "actor_parent",
        "exchanged",
        "created_at",
        "expires_at",
        "revoked_at",
        "revoke_reason",
    )
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    actions = ("revoke",)
    show_full_result_count = False

    def get_readonly_fields(self, request: HttpRequest, obj: Grant | None = None) -> tuple[str, ...]:
        return self.fields

    @admin.display(description="about")
    def subject(self, grant: Grant) -> str:
        """The person, or the client."""
        return str(grant.person or grant.subject_client)

    @admin.display(description="scopes")
    def scopes_shown(self, grant: Grant) -> str:
        """A service's family has none of its own: its flow says them."""
        return " ".join(grant.scopes) or "those of its flow"

    @admin.display(description="acting")
    def acting(self, grant: Grant) -> str:
        """Who acts for the subject, the present actor first."""
        return ", ".join(actor["client_id"] for actor in grant.actors) or "-"

    @admin.display(description="exchanged from it")
    def exchanged(self, grant: Grant) -> SafeString | str:
        """Its children, each with a link."""
        children = grant.children.select_related("client").order_by("-created_at")[:CHILDREN_SHOWN]
        rows = ((reverse("admin:tokens_grant_change", args=[one.pk]), one.client.client_id, one.pk) for one in children)
        return format_html_join("", '<p><a href="{}">{} {}</a></p>', rows) or "nothing"

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("tokens.change_grant"))

    @action(description="Revoke with all their tokens", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Grant]) -> None:
        """Revoke the selected grants. Refresh and userinfo end at once."""
        actor = operator_actor(request)
        revoked = sum(revoke_grant(grant.pk, reason="operator", actor=actor) for grant in queryset)
        messages.success(request, f"{revoked} grants revoked.")
