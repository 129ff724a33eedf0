"""Enforcement points in the console."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from broker.access import points
from broker.access.models import EnforcementPoint
from broker.access.points_form import EnforcementPointForm, type_lines
from broker.registry.party_admin import PartyAdmin

DECLARED_SHOWN = 50


class EnforcementPointAdmin(PartyAdmin):
    """The clients that ask for decisions, and about what."""

    form = EnforcementPointForm
    fixed = ("client",)
    shown = ("owner", "declared_entities", "created_at")
    retire_with = staticmethod(points.retire_point)
    list_display = ("client", "owner", "types", "declared_count", "created_at")
    list_select_related = ("client",)
    search_fields: ClassVar = ("client__client_id", "client__owner")

    def get_queryset(self, request: HttpRequest) -> QuerySet[EnforcementPoint]:  # noqa: ARG002 - Django's signature
        live = EnforcementPoint.objects.filter(client__retired_at=None)
        return live.annotate(declared_total=Count("declared")).order_by("client__client_id")

    @admin.display(description="owner", ordering="client__owner")
    def owner(self, point: EnforcementPoint) -> str:
        """The owner of the client."""
        return point.client.owner or "no owner"

    @admin.display(description="may ask about")
    def types(self, point: EnforcementPoint) -> str:
        """The types of resource."""
        return ", ".join(point.resource_types)

    @admin.display(description="types of resource")
    def type_lines(self, point: EnforcementPoint) -> str:
        """For viewers, who see no form."""
        return "\n".join(type_lines(point))

    @admin.display(description="declared", ordering="declared_total")
    def declared_count(self, point: EnforcementPoint) -> int:
        """How many subjects and resources are declared."""
        return int(getattr(point, "declared_total", 0))

    @admin.display(description="declared for it")
    def declared_entities(self, point: EnforcementPoint) -> SafeString | str:
        """The first of what is declared; properties can be personal data, so only their names are shown."""
        rows = point.declared.order_by("side", "type", "entity_id")[: DECLARED_SHOWN + 1]
        lines = [
            (f"{row.side} {row.type} {row.entity_id}", ", ".join(sorted(row.properties)) or "no properties")
            for row in rows[:DECLARED_SHOWN]
        ]
        if len(rows) > DECLARED_SHOWN:
            lines.append((f"and more than {DECLARED_SHOWN}", "a configuration file lists them all"))
        return format_html_join("", "<div>{} ({})</div>", lines) or "nothing"
