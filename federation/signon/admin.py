"""Sign-ons under way in the console, to look at."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from broker.console_rows import ReadOnly
from federation.signon.models import LoginRequest


@admin.register(LoginRequest)
class LoginRequestAdmin(ReadOnly, ModelAdmin):
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
