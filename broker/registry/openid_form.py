"""The console's form of an OpenID provider. A new one is registered on the pages that lead through it, or by file."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldBooleanWidget

from broker.registry.forms import LinesField, PartyForm, home_realm_names
from broker.registry.models import IdentityProvider
from broker.registry.openid import Discovery, fetch_discovery
from broker.registry.registering import identity_providers
from broker.registry.values import BadValue


class OpenIDProviderForm(PartyForm):
    """An OpenID provider: what we are there, and what its logins amount to here."""

    new_secret = forms.CharField(
        label="Our new secret there",
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "off"}),
        help_text="Empty: the one that is registered stays. It is sealed, and never shown.",
    )
    scope_lines = LinesField(label="Scopes", required=False, help_text="One on each line; openid must be among them.")
    home_realm = LinesField(
        label="E-mail domains", required=False, help_text="One on each line: who enters such an address is sent there."
    )
    read_anew = forms.BooleanField(
        label="Read its discovery document anew",
        required=False,
        widget=UnfoldBooleanWidget,
        help_text="It is read every hour anyway.",
    )

    columns: ClassVar = (
        "name", "enabled", "client_id", "authentication", "assertion_audience", "subject", "unknown_person",
        "match_claim", "match_person", "outside_authority", "skew_seconds",
    )  # fmt: skip

    class Meta:
        model = IdentityProvider
        fields = (
            "organisation", "slug", "name", "enabled", "client_id", "authentication", "assertion_audience", "subject",
            "unknown_person", "match_claim", "match_person", "outside_authority", "skew_seconds",
        )  # fmt: skip
        labels: ClassVar = {
            "client_id": "Our client_id there",
            "assertion_audience": "Audience of client assertions",
            "match_person": "Match with",
            "skew_seconds": "Clock skew (seconds)",
        }
        help_texts: ClassVar = {
            "authentication": "How we prove who we are. client_secret_post for providers that do not decode Basic.",
            "unknown_person": "What happens at the first login of somebody whom nobody has recorded.",
            "match_claim": "Joins a login to the person whom HR recorded; exact, and never an e-mail address.",
            "match_person": "external_id, HR's own key",
            "outside_authority": "What happens to a scoped value outside the organisation's proved domains.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.discovery: Discovery | None = None
        if "home_realm" in self.fields:
            self.initial["home_realm"] = home_realm_names(self.instance)
            self.initial["scope_lines"] = self.instance.scopes

    def clean(self) -> dict[str, Any]:
        """Fetch the document when that is asked for, once: the save is rehearsed and then done with the same one."""
        if self.cleaned_data.get("read_anew") and not self.errors:
            try:
                self.discovery = fetch_discovery(self.instance.issuer).discovery
            except BadValue as error:
                raise ValidationError({"read_anew": str(error)}) from error
        return super().clean()

    def register(self) -> IdentityProvider:
        """See PartyForm."""
        fields = self.entered(*self.columns) | {
            "home_realm_domains": self.cleaned_data["home_realm"],
            "scopes": self.cleaned_data["scope_lines"],
        }
        if self.cleaned_data["new_secret"]:
            fields["client_secret"] = self.cleaned_data["new_secret"]
        if self.discovery is not None:
            fields["discovery"] = self.discovery
        return identity_providers.change_identity_provider(self.row(), actor=self.actor, **fields)
