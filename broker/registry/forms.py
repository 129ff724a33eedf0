"""The console's forms of parties. What a form accepts is what its service accepts: `clean` rehearses the save."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.db import models, transaction
from unfold.widgets import UnfoldAdminTextareaWidget

from broker.actors import SYSTEM, Actor
from broker.registry.models import Application, IdentityProvider, Organisation, Resource
from broker.registry.registering import applications, identity_providers, organisations, resources
from broker.registry.values import BadValue


class PartyForm(forms.ModelForm):
    """A form that is saved by a registering service, with the operator as the actor."""

    actor: ClassVar[Actor] = SYSTEM
    """Replaced by the operator behind the request (party_admin)."""

    def register(self) -> models.Model:
        """Save what was entered, through the party's service. Raises BadValue."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        """Everything that the service refuses is an error of the form."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                with transaction.atomic():
                    self.register()
                    transaction.set_rollback(True)
            except BadValue as error:
                raise ValidationError(str(error)) from error
        return cleaned

    def validate_constraints(self) -> None:
        """Nothing: the rehearsal has judged them, and says in words what is wrong."""

    def entered(self, *names: str) -> dict[str, Any]:
        """The entered values under these names; the slug and what else is read-only is not among them."""
        return {name: self.cleaned_data[name] for name in names if name in self.cleaned_data}

    def row(self) -> Any:
        """The party as it is stored, not as the form has filled it in."""
        return type(self.instance)._default_manager.get(pk=self.instance.pk)

    @property
    def is_new(self) -> bool:
        """Whether the party is being registered."""
        return bool(self.instance._state.adding)


class LinesField(forms.CharField):
    """A list of texts, one on each line."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 4})

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]  # a list where CharField has a text
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]

    def prepare_value(self, value: Any) -> str:
        return value if isinstance(value, str) else "\n".join(value or ())


class OrganisationForm(PartyForm):
    """An organisation with its domains."""

    domain_names = LinesField(
        label="Domains",
        required=False,
        help_text="One on each line. Saving proves a new one by your word: its identity providers may speak for it.",
    )

    class Meta:
        model = Organisation
        fields = ("slug", "name", "owner", "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.is_new and "domain_names" in self.fields:
            self.initial["domain_names"] = proved_names(self.instance)

    def register(self) -> Organisation:
        """See PartyForm."""
        fields = self.entered("name", "owner", "enabled") | {"domains": self.cleaned_data["domain_names"]}
        if self.is_new:
            return organisations.create_organisation(self.cleaned_data["slug"], actor=self.actor, **fields)
        return organisations.change_organisation(self.row(), actor=self.actor, **fields)


class IdentityProviderForm(PartyForm):
    """An identity provider; its metadata is pasted and read on saving."""

    pasted_metadata = forms.CharField(
        label="Metadata",
        required=False,
        strip=False,
        widget=UnfoldAdminTextareaWidget,
        help_text="Paste the XML. Issuer, address, certificates and scopes are read from it when you save. "
        "Empty: what is registered stays.",
    )
    home_realm = LinesField(
        label="E-mail domains", required=False, help_text="One on each line: who enters such an address is sent there."
    )

    columns: ClassVar = (
        "name", "enabled", "subject", "unknown_person", "match_claim", "match_person", "outside_authority",
        "entity_id_override", "name_id_format", "sign_requests", "skew_seconds",
        "sha1_accepted_until", "idp_initiated", "idp_initiated_application",
    )  # fmt: skip

    class Meta:
        model = IdentityProvider
        fields = (
            "organisation", "slug", "name", "enabled", "subject", "unknown_person", "match_claim", "match_person",
            "outside_authority", "entity_id_override", "name_id_format", "sign_requests",
            "skew_seconds", "sha1_accepted_until", "idp_initiated", "idp_initiated_application",
        )  # fmt: skip
        labels: ClassVar = {
            "match_person": "Match with",
            "entity_id_override": "Our entityID",
            "name_id_format": "NameID format",
            "skew_seconds": "Clock skew (seconds)",
            "sha1_accepted_until": "SHA-1 accepted until",
            "idp_initiated": "May begin sign-ons itself",
            "idp_initiated_application": "Its sign-ons lead to",
        }
        help_texts: ClassVar = {
            "unknown_person": "What happens at the first login of somebody whom nobody has recorded.",
            "match_claim": "Joins a login to the person whom HR recorded; exact, and never an e-mail address.",
            "match_person": "external_id, HR's own key",
            "outside_authority": "What happens to a scoped value outside the organisation's proved domains.",
            "idp_initiated": "Takes answers that nobody asked for. Whoever has an account there can then sign "
            "somebody else's browser on as themselves: leave it off unless a portal needs it.",
            "idp_initiated_application": "Where its RelayState names no application.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(field := self.fields.get("idp_initiated_application"), forms.ModelChoiceField):
            field.queryset = Application.objects.filter(retired_at=None)
        if not self.is_new and "home_realm" in self.fields:
            self.initial["home_realm"] = home_realm_names(self.instance)

    def register(self) -> IdentityProvider:
        """See PartyForm."""
        fields = self.entered(*self.columns) | {"home_realm_domains": self.cleaned_data["home_realm"]}
        if pasted := self.cleaned_data["pasted_metadata"].strip():
            fields |= {"metadata": pasted, "metadata_url": ""}
        if self.is_new:
            slug, organisation = self.cleaned_data["slug"], self.cleaned_data["organisation"]
            return identity_providers.create_identity_provider(
                slug, organisation=organisation, actor=self.actor, **fields
            )
        return identity_providers.change_identity_provider(self.row(), actor=self.actor, **fields)


class ApplicationForm(PartyForm):
    """An application. Its OpenID face is a client; its SAML face comes by configuration."""

    class Meta:
        model = Application
        fields = ("slug", "name", "kind", "owner", "home_url", "enabled")
        field_classes: ClassVar = {"home_url": forms.CharField}  # judged by values.web_address

    def register(self) -> Application:
        """See PartyForm."""
        fields = self.entered("name", "kind", "owner", "home_url", "enabled")
        if self.is_new:
            return applications.create_application(self.cleaned_data["slug"], actor=self.actor, **fields)
        return applications.change_application(self.row(), actor=self.actor, **fields)


class ResourceForm(PartyForm):
    """A resource with its scopes."""

    scope_lines = LinesField(
        label="Scopes", required=False, help_text="One on each line, with what it allows: invoices.read Read invoices"
    )

    class Meta:
        model = Resource
        fields = ("identifier", "token_algorithm", "token_lifetime", "introspectors")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.is_new and "scope_lines" in self.fields:
            self.initial["scope_lines"] = scope_lines(self.instance)

    def register(self) -> Resource:
        """See PartyForm."""
        scopes = dict(line.partition(" ")[::2] for line in self.cleaned_data["scope_lines"])
        fields = self.entered("token_algorithm", "token_lifetime") | {
            "scopes": {scope: meaning.strip() for scope, meaning in scopes.items()},
            "introspectors": list(self.cleaned_data["introspectors"]),
        }
        if self.is_new:
            return resources.create_resource(self.cleaned_data["identifier"], actor=self.actor, **fields)
        return resources.change_resource(self.row(), actor=self.actor, **fields)


def proved_names(organisation: Organisation) -> list[str]:
    """The organisation's proved domains."""
    return list(organisation.domains.exclude(proved_at=None).values_list("name", flat=True))


def home_realm_names(identity_provider: IdentityProvider) -> list[str]:
    """The e-mail domains that lead to the identity provider."""
    return list(identity_provider.home_realm_domains.values_list("name", flat=True))


def scope_lines(resource: Resource) -> Iterable[str]:
    """The resource's scopes, each with its meaning."""
    return [f"{scope} {meaning}" for scope, meaning in resource.scopes.items()]
