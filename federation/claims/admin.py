"""Claim mappings and release rules in the console, saved by the same services as a file's."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextareaWidget

from broker.actors import SYSTEM, Actor
from broker.http import operator_actor
from broker.registry.models import Application, IdentityProvider
from broker.registry.values import BadValue
from federation.claims.models import ClaimMapping, ReleaseRule
from federation.claims.registering import set_claim_mapping, set_release_rule


class RuleForm(forms.ModelForm):
    """A form whose save is rehearsed, so that what the service refuses is an error of the form."""

    actor: ClassVar[Actor] = SYSTEM
    party: ClassVar[str]

    lines = forms.CharField(required=False, widget=UnfoldAdminTextareaWidget)

    def register(self, party: Any) -> None:
        """Save what was entered. Raises BadValue."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        """See RuleForm."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                with transaction.atomic():
                    self.register(self.its_party())
                    transaction.set_rollback(True)
            except BadValue as error:
                raise ValidationError(str(error)) from error
        return cleaned

    def its_party(self) -> Any:
        """The party that was chosen, or that the rule already belongs to."""
        return self.cleaned_data.get(self.party) or getattr(self.instance, self.party)

    def entered_lines(self) -> list[str]:
        """The lines that hold something."""
        return [line.strip() for line in self.cleaned_data["lines"].splitlines() if line.strip()]


class ClaimMappingForm(RuleForm):
    """A claim and its attributes on each line."""

    party = "identity_provider"

    class Meta:
        model = ClaimMapping
        fields = ("identity_provider",)
        help_texts: ClassVar = {"identity_provider": "Whose attributes become claims."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(field := self.fields.get("identity_provider"), forms.ModelChoiceField):
            field.queryset = IdentityProvider.objects.filter(retired_at=None)
        if "lines" in self.fields:
            self.fields["lines"].label = "Claims"
            self.fields[
                "lines"
            ].help_text = "One on each line, with its attributes, best first: email: mail, emailAddress"
            self.initial["lines"] = mapping_text(self.instance)

    def register(self, party: Any) -> None:
        """See RuleForm."""
        mapping = {}
        for line in self.entered_lines():
            claim, colon, names = line.partition(": ")
            if not colon:
                raise BadValue(f"{line[:80]!r} is no mapping: write it as claim: attribute, attribute")
            mapping[claim.strip()] = [name.strip() for name in names.split(",") if name.strip()]
        set_claim_mapping(party, mapping, actor=self.actor)


class ReleaseRuleForm(RuleForm):
    """A claim on each line."""

    party = "application"

    class Meta:
        model = ReleaseRule
        fields = ("application",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(field := self.fields.get("application"), forms.ModelChoiceField):
            field.queryset = Application.objects.filter(retired_at=None)
        if "lines" in self.fields:
            self.fields["lines"].label = "Claims"
            self.fields["lines"].help_text = "One on each line: what the application is told of a person."
            self.initial["lines"] = "\n".join(self.instance.claims)

    def register(self, party: Any) -> None:
        """See RuleForm."""
        set_release_rule(party, self.entered_lines(), actor=self.actor)


class RuleAdmin(ModelAdmin):
    """A rule's pages."""

    form: type[RuleForm]
    actions = None

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> type[RuleForm]:  # noqa: FBT001, FBT002 - Django's signature
        """The form, which knows who fills it in."""
        form = super().get_form(request, obj, change=change, **kwargs)
        actor = operator_actor(request)
        return type(form.__name__, (form,), {"actor": actor})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (self.form.party,) if obj is not None else ()

    def save_model(self, request: HttpRequest, obj: Any, form: RuleForm, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Through the service, which finds or makes the row."""
        party = form.its_party()
        form.register(party)
        obj.pk = type(obj)._default_manager.get(**{form.party: party}).pk

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ClaimMapping)
class ClaimMappingAdmin(RuleAdmin):
    """Which attributes of an identity provider become which claim."""

    form = ClaimMappingForm
    fields = ("identity_provider", "lines")
    list_display = ("identity_provider", "lines")
    list_select_related = ("identity_provider",)
    search_fields = ("identity_provider__slug", "identity_provider__name")

    @admin.display(description="claims")
    def lines(self, mapping: ClaimMapping) -> str:
        """Claims with their attributes."""
        return mapping_text(mapping)


@admin.register(ReleaseRule)
class ReleaseRuleAdmin(RuleAdmin):
    """What an application is told."""

    form = ReleaseRuleForm
    fields = ("application", "lines")
    list_display = ("application", "lines")
    list_select_related = ("application",)
    search_fields = ("application__slug", "application__name")

    @admin.display(description="claims")
    def lines(self, rule: ReleaseRule) -> str:
        """The claims, a line each."""
        return "\n".join(rule.claims)


def mapping_text(mapping: ClaimMapping) -> str:
    """`claim: attribute, attribute`, a line each."""
    return "\n".join(f"{claim}: {', '.join(names)}" for claim, names in mapping.claims.items())
