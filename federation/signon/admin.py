"""Sign-ons under way in the console, to look at."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from federation.signon.models import LoginRequest


@admin.register(LoginRequest)
class LoginRequestAdmin(ModelAdmin):
    """What is asked, of whom, and how far it got. Neither the answer nor what binds the browser is shown."""

    list_display = ("trace_id", "state", "application", "identity_provider", "created_at", "expires_at")
    list_filter = ("state", "application", "identity_provider")
    list_select_related = ("application", "identity_provider")
    search_fields = ("trace_id",)
    fields = (
        "trace_id",
        "state",
        "application",
        "client",
        "identity_provider",
        "upstream_request_id",
        "authenticated_after",
        "created_at",
        "expires_at",
    )
    ordering = ("-created_at",)
    show_full_result_count = False
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
