"""What the console's page of a client or a person shows of its tokens, and the action that ends them.

The rooms below know nothing of tokens, so this room adds to their pages.
"""

from typing import Any, cast

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import action

from broker.directory.models import Person
from broker.http import operator_actor
from broker.registry.models import Client
from broker.tokens.holdings import holdings_of, revoke_holdings

GRANTS_SHOWN = 50
MAY_END = "tokens.change_grant"


class HoldingsPage:
    """Mixed into the page of a model whose rows hold grants."""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = list(super().get_fields(request, obj))  # type: ignore[misc]  # of the page that it is mixed into
        return fields if obj is None or "holdings" in fields else [*fields, "holdings"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        fields = tuple(super().get_readonly_fields(request, obj))  # type: ignore[misc]  # as above
        return fields if obj is None else (*fields, "holdings")

    @admin.display(description="holds")
    def holdings(self, holder: Client | Person) -> SafeString:
        """The living grants, with what they reach and since when."""
        return render_to_string("admin/tokens/holdings.html", _living(holder))

    def has_end_holdings_permission(self, request: HttpRequest, object_id: Any = None) -> bool:  # noqa: ARG002 - Unfold's signature
        return bool(request.user.has_perm(MAY_END))

    @action(description="End what it holds", icon="block", url_path="end-holdings", permissions=["end_holdings"])
    def end_holdings(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask by GET; by POST revoke everything that the row holds."""
        page = cast("admin.ModelAdmin[Any]", self)
        holder = get_object_or_404(page.model, pk=object_id)
        back = reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_change", args=[holder.pk])
        if request.method == "POST":
            actor = operator_actor(request)
            ended = revoke_holdings(holder, reason="operator", actor=actor)
            messages.success(request, f"{ended.grants + ended.descendants} grants of {holder} are over.")
            return HttpResponseRedirect(back)
        title = "End what it holds"
        context = {**page.admin_site.each_context(request), "opts": page.opts, "title": title, "holder": holder}
        return TemplateResponse(request, "admin/tokens/end_holdings.html", {**context, **_living(holder), "back": back})


def show_holdings_of(model: type[Client] | type[Person]) -> None:
    """Register the page of `model` anew, with its holdings."""
    page = type(admin.site.get_model_admin(model))
    actions = [*(getattr(page, "actions_detail", None) or []), "end_holdings"]
    extended = type(page.__name__, (HoldingsPage, page), {"actions_detail": actions, "__doc__": page.__doc__})
    admin.site.unregister(model)
    admin.site.register(model, extended)


def _living(holder: Client | Person) -> dict[str, Any]:
    living = holdings_of(holder, now=timezone.now())
    grants = list(living[:GRANTS_SHOWN])
    more = living.count() - len(grants) if len(grants) == GRANTS_SHOWN else 0
    return {"grants": grants, "more": more}
