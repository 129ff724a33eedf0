"""The console's sidebar: one table of what stands where."""

from typing import Any

from django.apps import apps
from django.contrib.admin import site
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

# Group -> (title, icon of Material Symbols, model). Models of higher rooms are named, never imported.
GROUPS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Sign-on": (
        ("Traces", "troubleshoot", "traces.Trace"),
        ("Sign-ons under way", "login", "signon.LoginRequest"),
        ("Sessions", "devices", "sso_sessions.Session"),
    ),
    "Parties": (
        ("Organisations", "corporate_fare", "registry.Organisation"),
        ("Identity providers", "badge", "registry.IdentityProvider"),
        ("Applications", "apps", "registry.Application"),
        ("Clients", "key", "registry.Client"),
        ("Resources", "dns", "registry.Resource"),
        ("Flows", "conversion_path", "registry.Flow"),
        ("Enforcement points", "policy", "access.EnforcementPoint"),
        ("Claim mappings", "input", "claims.ClaimMapping"),
        ("Release rules", "output", "claims.ReleaseRule"),
    ),
    "People": (
        ("People", "person", "directory.Person"),
        ("Groups", "group", "directory.Group"),
        ("Linked identities", "link", "directory.LinkedIdentity"),
        ("Conflicts", "difference", "directory.Conflict"),
        ("Authority over attributes", "rule", "directory.AuthorityRule"),
        ("Leavers", "person_off", "leaver.Case"),
        ("SCIM sources", "move_to_inbox", "inbound.ScimSource"),
        ("SCIM journal", "receipt", "inbound.JournalEntry"),
        ("Members awaited", "hourglass_empty", "inbound.PendingMember"),
        ("File sources", "folder_shared", "batch.FileSource"),
        ("Imports", "upload_file", "batch.Import"),
    ),
    "Tokens and keys": (
        ("Grants", "receipt_long", "tokens.Grant"),
        ("Keys", "vpn_key", "keys.SigningKey"),
    ),
    "Access": (
        ("Policies", "policy", "access.Policy"),
        ("Policy versions", "history", "access.PolicyVersion"),
        ("Policy sets", "inventory_2", "access.PolicySet"),
        ("What policies speak of", "schema", "access.PolicySchema"),
        ("Decisions", "gavel", "access.Decision"),
    ),
    "Deliveries": (
        ("Targets", "move_up", "outbound.Target"),
        ("Accounts at targets", "manage_accounts", "outbound.RemoteAccount"),
        ("Groups at targets", "groups", "outbound.RemoteGroup"),
        ("Plans", "checklist", "planning.Plan"),
        ("Runs", "manage_search", "planning.Run"),
        ("Drift", "difference", "planning.Drift"),
        ("Holds", "front_hand", "outbound.Hold"),
        ("Watches", "schedule", "planning.Watch"),
        ("Deliveries", "outbox", "delivery.Delivery"),
        ("Lanes", "alt_route", "delivery.Lane"),
    ),
    "Evidence": (
        ("Events", "menu_book", "events.Event"),
        ("Seals", "verified", "events.Seal"),
        ("Webhooks", "webhook", "notify.Subscription"),
    ),
    "Console": (
        ("Approvals", "how_to_reg", "approvals.Approval"),
        ("Operators", "shield_person", "console.Operator"),
    ),
}


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups in Unfold's form, with what this operator may see of what is registered."""
    overview = {"title": "Overview", "icon": "space_dashboard", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"items": [overview]}]
    for title, entries in GROUPS.items():
        items = [_item(*entry) for entry in entries if _is_visible(entry[2], request)]
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    return groups


def stylesheet(request: HttpRequest) -> str:  # noqa: ARG001 - Unfold's signature
    """Where the console's own styles are."""
    return static("console/console.css")


def icon(request: HttpRequest) -> str:  # noqa: ARG001 - Unfold's signature
    """Where the console's icon is."""
    return static("console/icon.svg")


def _is_visible(label: str, request: HttpRequest) -> bool:
    model = apps.get_model(label)
    return site.is_registered(model) and site.get_model_admin(model).has_view_permission(request)


def _item(title: str, icon: str, label: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse(f"admin:{label.lower().replace('.', '_')}_changelist")}
