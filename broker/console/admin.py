"""Operators in the console: made, changed and reset through the services, never deleted."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin
from unfold.decorators import action

from broker.console import services
from broker.console.errors import OperatorRefused
from broker.console.models import Operator
from broker.http import operator_actor

# Django's own groups of accounts: a role is all that an operator has.
admin.site.unregister(Group)


class OperatorForm(forms.ModelForm):
    """An account's changeable fields. The service decides; what it refuses stands on the form."""

    class Meta:
        model = Operator
        fields = ("email", "name", "role", "person", "is_active")
        labels = {"email": "E-mail address", "is_active": "Open"}
        help_texts = {
            "role": "A viewer sees everything and changes nothing; an operator may do everything.",
            "person": "Ties the account to a person: when that person's account closes, so does this one.",
            "is_active": "A closed account is out of the console at its next request.",
        }

    def clean_email(self) -> str:
        return services.normalise_email(self.cleaned_data["email"])


@admin.register(Operator)
class OperatorAdmin(ModelAdmin):
    """Console accounts. A password is never shown but once, when it was made here."""

    form = OperatorForm
    list_display = ("email", "name", "role", "is_active", "may_enter_shown", "last_login")
    list_filter = ("role", "is_active")
    search_fields = ("email", "name")
    list_select_related = ("person",)
    autocomplete_fields = ("person",)
    actions = None
    actions_detail = ("reset_password",)

    @admin.display(description="may enter", boolean=True)
    def may_enter_shown(self, operator: Operator) -> bool:
        """Whether the account and the person it is tied to are both open."""
        return operator.may_enter

    def get_fields(self, request: HttpRequest, obj: Operator | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("email", "name", "role", "person")
        return ("email", "name", "role", "person", "is_active", "must_change_password", "last_login", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Operator | None = None) -> tuple[str, ...]:
        return () if obj is None else ("email", "must_change_password", "last_login", "created_at")

    def save_model(self, request: HttpRequest, obj: Operator, form: OperatorForm, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Through the services. What they refuse rolls the save back and becomes a message (`changeform_view`)."""
        actor = operator_actor(request)
        if change:
            changes = {name: form.cleaned_data[name] for name in services.CHANGEABLE if name in form.cleaned_data}
            services.change_operator(obj, actor=actor, **changes)
            return
        made, password = services.create_operator(
            obj.email, name=obj.name, role=Operator.Role(obj.role), person=obj.person, actor=actor
        )
        obj.pk = made.pk
        request.one_time_password = password  # type: ignore[attr-defined]  # for `response_add`, in this request only

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return cast(HttpResponse, super().changeform_view(request, object_id, form_url, extra_context))
        except OperatorRefused as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(request.get_full_path())

    def response_add(self, request: HttpRequest, obj: Operator, post_url_continue: str | None = None) -> HttpResponse:
        """The page that shows the one-time password. Not a message: messages travel in a cookie."""
        return self._password_page(request, obj, request.one_time_password)  # type: ignore[attr-defined]  # see save_model

    @action(description="Reset password", icon="lock_reset", permissions=["change"])
    def reset_password(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask by GET; by POST give a new one-time password and show it."""
        operator = get_object_or_404(Operator, pk=object_id)
        if request.method == "POST":
            password = services.reset_operator(operator, actor=operator_actor(request))
            return self._password_page(request, operator, password)
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "Reset password"}
        return TemplateResponse(request, "admin/console/reset_password.html", {**context, "operator": operator})

    def has_delete_permission(self, request: HttpRequest, obj: Operator | None = None) -> bool:
        return False

    def _password_page(self, request: HttpRequest, operator: Operator, password: str) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "One-time password"}
        page = "admin/console/one_time_password.html"
        return TemplateResponse(request, page, {**context, "operator": operator, "password": password})
