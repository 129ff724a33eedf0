"""Our keys in the console: to look at, and to announce successors. Private sides are not among the fields."""

from typing import ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin

from broker.console_rows import ReadOnly
from broker.http import operator_actor
from broker.keys import services
from broker.keys.models import SigningKey


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnly, ModelAdmin):
    """Keys by use; the services alone make and move them."""

    list_display = ("kid", "use", "algorithm", "state", "activates_at", "retired_at", "gone_at")
    list_filter = ("use", "algorithm", "state")
    search_fields = ("kid",)
    fields = (
        "kid",
        "use",
        "algorithm",
        "state",
        "public_key",
        "certificate",
        "created_at",
        "activates_at",
        "retired_at",
        "gone_at",
    )
    actions: ClassVar = ["announce_successors"]

    @admin.action(description="Announce a successor of the same use and algorithm", permissions=["announce"])
    def announce_successors(self, request: HttpRequest, queryset: QuerySet[SigningKey]) -> None:
        """Publish a successor for each kind of the chosen keys; each signs after its time of announcement."""
        actor = operator_actor(request)
        for use, algorithm in sorted(set(queryset.order_by().values_list("use", "algorithm"))):
            key = services.announce_key(
                SigningKey.Use(use), algorithm=SigningKey.Algorithm(algorithm), now=timezone.now(), actor=actor
            )
            text = f"{use} {algorithm}: {key.kid} is announced and signs from {key.activates_at:%Y-%m-%d %H:%M} UTC."
            self.message_user(request, text, messages.SUCCESS)

    def has_announce_permission(self, request: HttpRequest) -> bool:
        """Whether this operator may announce a key."""
        return bool(request.user.has_perm("keys.announce_signingkey"))
