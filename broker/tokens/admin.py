"""Grants in the console: read, and revoked with all their tokens; never changed, never deleted by hand."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import action

from broker.actors import ActorKind
from broker.http import actor_from
from broker.tokens.models import Grant
from broker.tokens.services import revoke_grant


@admin.register(Grant)
class GrantAdmin(ModelAdmin):
    """What was given to whom, and until when."""

    list_display = ("id", "client", "person", "scopes", "created_at", "expires_at", "revoked_at", "revoke_reason")
    list_filter = ("client", "revoked_at")
    search_fields = ("id", "client__client_id", "person__name")
    list_select_related = ("client", "person")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Grant | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Grant | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("tokens.change_grant"))

    @action(description="Revoke with all their tokens", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Grant]) -> None:
        """Revoke the selected grants. Refresh and userinfo end at once."""
        actor = actor_from(request).acting_as(ActorKind.OPERATOR, request.user.get_username())
        revoked = sum(revoke_grant(grant.pk, reason="operator", actor=actor) for grant in queryset)
        messages.success(request, f"{revoked} grants revoked.")
