"""What the console's pages of parties have in common: saved by services, retired rather than deleted."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.decorators import action

from broker.http import operator_actor
from broker.registry.forms import PartyForm
from broker.registry.values import BadValue


class LiveFilter(admin.SimpleListFilter):
    """Shows the live parties unless the retired ones are asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        return [("retired", "retired"), ("all", "all")]

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            yield choice | ({"display": "live"} if choice["query_string"] == "?" else {})

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:  # noqa: ARG002 - Django's signature
        if self.value() == "all":
            return queryset
        return queryset.filter(retired_at__isnull=self.value() != "retired")


class PartyAdmin(ModelAdmin):
    """A party's pages. `fixed` fields can be given only when it is registered."""

    form: type[PartyForm]
    fixed: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    """Read-only fields, below the others, once the party exists."""
    retire_with: Callable[..., None]
    actions = None
    actions_detail: ClassVar = ["retire"]
    list_per_page = 50

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> type[PartyForm]:  # noqa: FBT001, FBT002 - Django's signature
        """The form, which knows who fills it in."""
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"actor": operator_actor(request)})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:  # noqa: ARG002 - Django's signature
        own = tuple(self.form.base_fields)
        return (*own, *self.shown) if obj is not None else own

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:  # noqa: ARG002 - Django's signature
        return (*self.fixed, *self.shown) if obj is not None else ()

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """The form's page. What somebody else took after the rehearsal, a second rehearsal refuses on the form."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except BadValue:
            return super().changeform_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: PartyForm, change: bool) -> None:  # noqa: ARG002, FBT001 - Django's signature
        """Through the service. The form has rehearsed it, so what is refused here changed in between."""
        obj.pk = form.register().pk

    def save_related(self, request: HttpRequest, form: PartyForm, formsets: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """The service has saved everything."""

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> list[Any]:  # noqa: ARG002, FBT001, FBT002 - as Django calls it
        """Nothing: the service has written the book, which says more than Django's log."""
        return []

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """See construct_change_message."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """See construct_change_message."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_retired = obj is not None and getattr(obj, "retired_at", None) is not None
        return not is_retired and super().has_change_permission(request, obj)

    @action(description="Retire", icon="archive", permissions=["change"])
    def retire(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask by GET; by POST retire the party for good."""
        party = get_object_or_404(self.model, pk=object_id)
        if not self.has_change_permission(request, party):
            raise PermissionDenied
        if request.method == "POST":
            try:
                type(self).retire_with(party, actor=operator_actor(request))
            except BadValue as error:
                messages.error(request, f"{party} cannot be retired: {error}")
                return HttpResponseRedirect(self.address("change", party.pk))
            messages.success(request, f"{party} is retired.")
            return HttpResponseRedirect(self.address("changelist"))
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "Retire", "party": party}
        back = self.address("change", party.pk)
        return TemplateResponse(request, "admin/registry/retire.html", {**context, "back": back})

    def address(self, page: str, *arguments: object) -> str:
        """The address of one of this model's pages."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}", args=arguments)
