"""Webhooks in the console: whose they are, about what, and whether what was sent arrived."""

from typing import ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action

from broker.delivery.progress import counts
from broker.http import operator_actor
from broker.notify import services
from broker.notify.forms import SubscriptionForm
from broker.notify.models import Subscription
from broker.registry.party_admin import LiveFilter, PartyAdmin


@admin.register(Subscription)
class SubscriptionAdmin(PartyAdmin):
    """Webhooks, saved by their service."""

    form = SubscriptionForm
    fixed = ("slug",)
    shown = ("deliveries", "disabled_reason", "previous_until", "created_at", "retired_at")
    retire_with = staticmethod(services.retire_subscription)
    actions_detail: ClassVar = ["rotate_secret", "retire"]
    list_display = ("slug", "owner", "about", "enabled", "deliveries", "created_at")
    list_filter = (LiveFilter, "enabled")
    search_fields = ("slug", "name", "owner", "url")

    @admin.display(description="about")
    def about(self, subscription: Subscription) -> str:
        """The types of event."""
        return ", ".join(subscription.types)

    @admin.display(description="deliveries kept")
    def deliveries(self, subscription: Subscription) -> SafeString | str:
        """How many arrived, wait or were given up, of those that the ledger still holds."""
        counted = counts(services.lane_of(subscription))
        if counted.expected == counted.skipped:
            return "nothing sent yet"
        text = f"{counted.confirmed} arrived, {counted.open} waiting"
        return format_html('{}, <span class="cs-bad">{} given up</span>', text, counted.dead) if counted.dead else text

    @action(description="New secret", icon="key", permissions=["change"])
    def rotate_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask by GET; by POST make a new secret and show it once."""
        subscription = get_object_or_404(Subscription, pk=object_id)
        if not self.has_change_permission(request, subscription):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "New secret",
            "subscription": subscription,
            "back": self.address("change", subscription.pk),
        }
        if request.method == "POST":
            context["secret"] = services.rotate_secret(subscription, actor=operator_actor(request))
            messages.success(request, "Both secrets sign for a while.")
        return TemplateResponse(request, "admin/notify/secret.html", context)
