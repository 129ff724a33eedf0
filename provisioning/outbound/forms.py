"""The console's forms of targets, saved by the services like every party's."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from broker.registry.forms import LinesField, PartyForm
from broker.registry.values import BadValue
from provisioning.outbound import registering
from provisioning.outbound.mapping import DEFAULT
from provisioning.outbound.models import Target

_COLUMNS = (
    "name",
    "owner",
    "enabled",
    "base_url",
    "authentication",
    "token_url",
    "token_client_id",
    "token_scope",
    "scope",
    "leaver_policy",
    "adoption",
    "group_strategy",
    "groups",
    "breaker_count",
    "breaker_share",
    "leaver_deadline",
    "max_connections",
)


class TargetForm(PartyForm):
    """A target. Its credential is entered when it is registered, and replaced on a page of its own."""

    base_url = forms.CharField(
        label="Base address", widget=UnfoldAdminTextInputWidget, help_text="What stands before /Users."
    )
    token_url = forms.CharField(
        label="Token endpoint",
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Of OAuth client credentials.",
    )
    token_client_id = forms.CharField(
        label="Client id", required=False, widget=UnfoldAdminTextInputWidget, help_text="Ours at the token endpoint."
    )
    token_scope = forms.CharField(
        label="Scopes of the token",
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="With spaces between them.",
    )
    groups = LinesField(
        label="Groups", required=False, help_text='One on each line, by name or as "source/name"; each is kept there.'
    )
    mapping_lines = LinesField(
        label="What is told of a person",
        help_text="One on each line, SCIM path: attribute; a|b takes the first that the person has. Nothing else"
        " leaves the house.",
    )
    credential = forms.CharField(
        label="Credential",
        required=False,
        strip=True,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="The bearer token, or the client's secret. Sealed, and never shown again.",
    )

    class Meta:
        model = Target
        fields = ("application", "slug", *_COLUMNS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "mapping_lines" in self.fields:
            mapping = DEFAULT if self.is_new else self.instance.mapping
            self.initial["mapping_lines"] = [f"{path}: {rule}" for path, rule in mapping.items()]
        if not self.is_new:
            self.fields.pop("credential", None)
        elif "credential" in self.fields:
            self.fields["credential"].required = True

    def clean_mapping_lines(self) -> dict[str, str]:
        """{SCIM path: attribute}; paths may hold colons themselves, attributes none."""
        found: dict[str, str] = {}
        for line in self.cleaned_data["mapping_lines"]:
            path, colon, rule = line.rpartition(":")
            if not colon or path.strip() in found:
                raise forms.ValidationError(f"{line}: wants a path that is named once, a colon and an attribute")
            found[path.strip()] = rule.strip()
        return found

    def register(self) -> Target:
        """See PartyForm."""
        fields = self.entered(*_COLUMNS) | {"mapping": self.cleaned_data["mapping_lines"]}
        if fields.get("scope") is None:
            fields["scope"] = {}
        if not self.is_new:
            return registering.change_target(self.row(), actor=self.actor, **fields)
        if not self.cleaned_data.get("credential"):
            raise BadValue("a target needs the credential by which it knows us")
        return registering.create_target(
            self.cleaned_data["slug"],
            application=self.cleaned_data["application"],
            actor=self.actor,
            credential=self.cleaned_data["credential"],
            **fields,
        )


class CredentialForm(forms.Form):
    """Another credential for a target."""

    credential = forms.CharField(
        label="New credential",
        strip=True,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="The bearer token, or the client's secret. Sealed, and never shown again.",
    )
