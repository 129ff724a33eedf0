"""The two forms of the wizard: where the identity provider describes itself, and what it is to be here."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from broker import limits
from broker.actors import Actor
from broker.errors import BrokerError
from broker.registry import metadata
from broker.registry.forms import LinesField
from broker.registry.models import IdentityProvider, Organisation
from broker.registry.values import BadValue
from federation.connecting.found import FoundProvider, find_at, find_in
from federation.connecting.services import Connection, NewOrganisation, connect_identity_provider
from federation.saml.attribute_names import NAMES_OF_CLAIM

SLUG_CHARS = 64
FILE_LOOK = "border border-base-200 rounded-default px-3 py-2 w-full dark:border-base-700"


class SourceForm(forms.Form):
    """Where the identity provider describes itself: exactly one of the three."""

    address = forms.CharField(
        label="Address",
        required=False,
        max_length=1024,
        widget=UnfoldAdminTextInputWidget({"inputmode": "url", "autocomplete": "off"}),
        help_text="Of its SAML metadata, or of its OpenID discovery document (…/.well-known/openid-configuration).",
    )
    upload = forms.FileField(
        label="Or a file with SAML metadata",
        required=False,
        max_length=255,
        # Unfold's own hides its focus.
        widget=forms.FileInput({"accept": ".xml,text/xml,application/xml", "class": FILE_LOOK}),
    )
    pasted = forms.CharField(
        label="Or SAML metadata itself", required=False, strip=False, widget=UnfoldAdminTextareaWidget({"rows": 6})
    )

    found: FoundProvider

    def clean(self) -> dict[str, Any]:
        """Read it; whatever is wrong with it is an error of the field that named it."""
        cleaned = super().clean() or self.cleaned_data
        given = [name for name in ("address", "upload", "pasted") if _is_given(cleaned.get(name))]
        if self.errors:
            return cleaned
        if len(given) != 1:
            raise ValidationError("Give an address, a file or the metadata itself: exactly one of the three.")
        readers: dict[str, Callable[[], FoundProvider]] = {
            "address": lambda: find_at(cleaned["address"].strip()),
            "upload": lambda: find_in(_read_upload(cleaned["upload"])),
            "pasted": lambda: find_in(cleaned["pasted"].strip()),
        }
        try:
            self.found = readers[given[0]]()
        except (BrokerError, BadValue) as error:
            self.add_error(given[0], _explained(error))
        return cleaned


class ConnectionForm(forms.Form):
    """What the found identity provider is to be here. What it accepts is what the services accept."""

    slug = forms.CharField(
        label="Short name",
        max_length=SLUG_CHARS,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
        help_text="Stands in addresses and stays: lower-case letters, digits, - and _.",
    )
    name = forms.CharField(
        label="Name", max_length=200, widget=UnfoldAdminTextInputWidget, help_text="As people see it when they choose."
    )
    organisation = forms.ModelChoiceField(
        Organisation.objects.none(),
        required=False,
        empty_label="a new organisation, named below",
        widget=UnfoldAdminSelectWidget,
    )
    new_organisation_slug = forms.CharField(
        label="New organisation: short name",
        required=False,
        max_length=SLUG_CHARS,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
    )
    new_organisation_name = forms.CharField(
        label="New organisation: name", required=False, max_length=200, widget=UnfoldAdminTextInputWidget
    )
    domains = LinesField(
        label="Domains of the organisation",
        required=False,
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
        help_text="One on each line, added to those that it has. Saving proves each by your word: "
        "its identity providers may speak for addresses and names in it.",
    )
    home_realm = LinesField(
        label="E-mail domains that lead here",
        required=False,
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
        help_text="One on each line: who enters such an address is sent to this identity provider.",
    )
    subject = forms.CharField(
        label="Subject",
        max_length=200,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
        help_text="What names a person lastingly: name_id (SAML), sub (OpenID), or attribute: and its name.",
    )
    unknown_person = forms.ChoiceField(
        label="People whom nobody has recorded",
        choices=[("create", "are recorded at their first sign-on"), ("refuse", "are refused")],
        widget=UnfoldAdminSelectWidget,
    )
    client_id = forms.CharField(
        label="Our client_id there",
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
    )
    authentication = forms.ChoiceField(
        label="How we authenticate there",
        required=False,
        choices=[(value, value) for value in IdentityProvider.Authentication.values],
        widget=UnfoldAdminSelectWidget,
    )
    client_secret = forms.CharField(
        label="Our client secret there",
        required=False,
        strip=True,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "off"}),
        help_text="Sealed when it is saved, and never shown again. Not for private_key_jwt.",
    )
    openid_only = ("client_id", "authentication", "client_secret")

    def __init__(self, *args: Any, found: FoundProvider, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.found, self.actor = found, actor
        organisations = self.fields["organisation"]
        assert isinstance(organisations, forms.ModelChoiceField)  # noqa: S101 - it stands above
        organisations.queryset = Organisation.objects.filter(retired_at=None).order_by("name", "slug")
        for name in self.openid_only:
            if found.is_saml:
                del self.fields[name]
            else:
                self.fields[name].required = name != "client_secret"
        for claim, names in NAMES_OF_CLAIM.items():
            self.fields[_field_of(claim)] = forms.CharField(
                label=claim,
                required=False,
                initial=_joined(names),
                widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
            )

    @property
    def decisions(self) -> list[forms.BoundField]:
        """The fields before the mapping."""
        return [self[name] for name in self.fields if name not in map(_field_of, NAMES_OF_CLAIM)]

    @property
    def mapping(self) -> list[forms.BoundField]:
        """One field for each usual claim."""
        return [self[_field_of(claim)] for claim in NAMES_OF_CLAIM]

    def clean_slug(self) -> str:
        """Free; said here in plainer words than the database has."""
        slug: str = self.cleaned_data["slug"]
        if IdentityProvider.objects.filter(slug=slug, retired_at=None).exists():
            raise ValidationError("An identity provider with this short name is registered already.")
        return slug

    def clean(self) -> dict[str, Any]:
        """Rehearse the save: everything that a service refuses is an error of the form."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                with transaction.atomic():
                    self.save()
                    transaction.set_rollback(True)
            except BadValue as error:
                raise ValidationError(_explained(error)) from error
        return cleaned

    def save(self) -> IdentityProvider:
        """Register the connection, not enabled. Raises BadValue."""
        cleaned = self.cleaned_data
        columns = {name: cleaned[name] for name in ("name", "subject", "unknown_person")}
        columns |= {name: cleaned[name] for name in self.openid_only if cleaned.get(name)}
        organisation: Organisation | NewOrganisation | None = cleaned["organisation"]
        if organisation is None:
            organisation = NewOrganisation(
                cleaned["new_organisation_slug"],
                cleaned["new_organisation_name"] or cleaned["new_organisation_slug"],
            )
        connection = Connection(
            slug=cleaned["slug"],
            organisation=organisation,
            domains=cleaned["domains"],
            columns=columns | {"home_realm_domains": cleaned["home_realm"]},
            claims=self._own_mapping(),
        )
        return connect_identity_provider(self.found, connection, actor=self.actor)

    def _own_mapping(self) -> dict[str, list[str]]:
        """The claims whose names the operator changed; an emptied line leaves the usual names."""
        own = {}
        for claim, usual in NAMES_OF_CLAIM.items():
            names = [name.strip() for name in self.cleaned_data[_field_of(claim)].split(",") if name.strip()]
            if names and names != list(usual):
                own[claim] = names
        return own


def suggestions(found: FoundProvider) -> dict[str, Any]:
    """What the form begins with."""
    domain = found.scopes[0] if found.scopes else ".".join(found.host.split(".")[-2:])
    slug = "".join(letter for letter in domain.split(".")[0].lower() if letter.isascii() and letter.isalnum())
    held = Organisation.objects.filter(domains__name__in=found.scopes, retired_at=None).first()
    return {
        "slug": slug[:SLUG_CHARS],
        "name": found.organisation or found.host,
        "organisation": held,
        "new_organisation_slug": "" if held else slug[:SLUG_CHARS],
        "new_organisation_name": "" if held else found.organisation,
        "domains": list(found.scopes),
        "home_realm": list(found.scopes),
        "subject": "name_id" if found.is_saml else "sub",
        "authentication": _authentication(found),
    }


def _authentication(found: FoundProvider) -> str | None:
    """The first way of ours that an OpenID provider offers."""
    offered = found.discovery.authentication_methods if found.discovery else ()
    return next((one for one in IdentityProvider.Authentication.values if one in offered), None)


def _field_of(claim: str) -> str:
    return f"claim_{claim}"


def _joined(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def _is_given(value: Any) -> bool:
    return bool(value.strip() if isinstance(value, str) else value)


def _read_upload(upload: Any) -> str:
    if upload.size > limits.SAML_METADATA_BYTES:
        raise BadValue(f"the file has more than {limits.SAML_METADATA_BYTES} bytes")
    return metadata.decode(upload.read())


def _explained(error: BrokerError | BadValue) -> str:
    """The error as a sentence, with the refusal's code where it has one."""
    if isinstance(error, BadValue):
        return str(error)
    reason = error.detail or error.actual
    return f"{error.refusal.meaning} {reason} ({error.code})" if reason else f"{error.refusal.meaning} ({error.code})"
