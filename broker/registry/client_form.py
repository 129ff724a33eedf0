"""The console's form of a client: what it is for, and by what means it proves who it is."""

import base64
import json
import re
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget

from broker.registry import credential_values
from broker.registry.forms import LinesField, PartyForm
from broker.registry.models import Application, Client
from broker.registry.registering import clients
from broker.registry.values import BadValue
from broker.registry.workloads import discover_keys

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class ClientForm(PartyForm):
    """A client. A new one gets its secret when it is saved."""

    redirect_lines = LinesField(
        label="Redirect URIs", required=False, help_text="One on each line, compared character by character."
    )
    post_logout_lines = LinesField(label="Redirect URIs after sign-out", required=False, help_text="One on each line.")

    key_text = forms.CharField(
        label="Its public keys",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text='A JSON Web Key Set, {"keys": [...]}, where no address publishes them.',
    )
    tls_lines = LinesField(
        label="The name in its certificate",
        required=False,
        help_text="For tls_client_auth, one of subject_dn, san_dns, san_uri, san_ip, san_email: "
        "subject_dn: CN=nightly,O=Acme,C=NO",
    )
    certificate_text = forms.CharField(
        label="Its self-signed certificates",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text="For self_signed_tls_client_auth, in PEM, one below the other.",
    )
    workload_lines = LinesField(
        label="The workload that stands for it",
        required=False,
        help_text="For private_key_jwt without keys of its own, one on each line: issuer, subject; audience when it "
        "is not ours; jwks_url when the issuer publishes no discovery document. issuer: https://k8s.acme.example",
    )

    columns: ClassVar = (
        "application", "owner", "enabled", "authentication", "pkce", "subject_type", "id_token_algorithm", "jwks_url",
        "token_endpoint_audience_until", "initiate_login_uri", "backchannel_logout_uri",
        "backchannel_logout_session_required", "dpop_bound_access_tokens",
        "tls_client_certificate_bound_access_tokens", "require_pushed_authorization_requests", "enforcement",
    )  # fmt: skip

    class Meta:
        model = Client
        fields = (
            "client_id", "kind", "application", "owner", "enabled", "authentication", "pkce", "subject_type",
            "id_token_algorithm", "jwks_url", "token_endpoint_audience_until", "initiate_login_uri",
            "backchannel_logout_uri", "backchannel_logout_session_required",
            "dpop_bound_access_tokens", "tls_client_certificate_bound_access_tokens",
            "require_pushed_authorization_requests", "enforcement",
        )  # fmt: skip
        # judged by values.web_address
        field_classes: ClassVar = {
            "jwks_url": forms.CharField,
            "initiate_login_uri": forms.CharField,
            "backchannel_logout_uri": forms.CharField,
        }
        labels: ClassVar = {
            "client_id": "client_id",
            "pkce": "PKCE",
            "jwks_url": "Address of its keys",
            "token_endpoint_audience_until": "Assertions may name the token endpoint until",
            "initiate_login_uri": "Address that starts a sign-on",
            "backchannel_logout_uri": "Address that is told of the end of a session",
            "backchannel_logout_session_required": "It is told the session alone",
            "id_token_algorithm": "Algorithm of ID tokens",
            "dpop_bound_access_tokens": "Its tokens are bound by DPoP",
            "tls_client_certificate_bound_access_tokens": "Its tokens are bound to its certificate",
            "require_pushed_authorization_requests": "Its authorization requests are pushed",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(field := self.fields.get("application"), forms.ModelChoiceField):
            field.queryset = Application.objects.filter(retired_at=None)
        for name in ("authentication", "id_token_algorithm"):
            if isinstance(field := self.fields.get(name), forms.ChoiceField):
                # As they stand on the wire, which is how applications' manuals name them.
                field.choices = [(value, value) for value, _ in self.instance._meta.get_field(name).choices]
        if not self.is_new and "redirect_lines" in self.fields:
            self.initial["redirect_lines"] = self.instance.redirect_uris
            self.initial["post_logout_lines"] = self.instance.post_logout_redirect_uris
            self.initial.update(means_as_text(self.instance))

    def clean_key_text(self) -> dict[str, Any]:
        """The key set; what it may hold is judged by the service."""
        text = self.cleaned_data["key_text"]
        try:
            found = json.loads(text) if text else {}
        except (ValueError, RecursionError) as error:
            raise ValidationError("This is not JSON.") from error
        return found if isinstance(found, dict) else {"keys": None}

    def clean_tls_lines(self) -> dict[str, str]:
        """The one name, by its kind."""
        return _pairs(self.cleaned_data["tls_lines"])

    def clean_certificate_text(self) -> list[dict[str, str]]:
        """The certificates as the registration keeps them."""
        text = self.cleaned_data["certificate_text"]
        try:
            found = [credential_values.certificate(one.encode()) for one in _PEM.findall(text)]
        except BadValue as error:
            raise ValidationError(f"A certificate {error}.") from error
        if text and (not found or "PRIVATE KEY" in text):
            raise ValidationError("Paste certificates in PEM, and no key.")
        return found

    def clean_workload_lines(self) -> dict[str, Any]:
        """The workload; where its issuer's keys are is asked of the issuer unless a line says it."""
        found: dict[str, Any] = _pairs(self.cleaned_data["workload_lines"])
        if "issuer" in found and "jwks_url" not in found:
            try:
                found |= {"jwks_url": discover_keys(found["issuer"]), "is_discovered": True}
            except BadValue as error:
                raise ValidationError(str(error)) from error
        return found

    def register(self) -> Client:
        """See PartyForm."""
        fields = self.entered(*self.columns) | {
            "redirect_uris": self.cleaned_data["redirect_lines"],
            "post_logout_redirect_uris": self.cleaned_data["post_logout_lines"],
            "jwks": self.cleaned_data["key_text"],
            "tls": self.cleaned_data["tls_lines"],
            "certificates": self.cleaned_data["certificate_text"],
            "workload": self.cleaned_data["workload_lines"],
        }
        if self.is_new:
            client_id, kind = self.cleaned_data["client_id"], Client.Kind(self.cleaned_data["kind"])
            return clients.create_client(client_id, kind=kind, actor=self.actor, **fields)
        return clients.change_client(self.row(), actor=self.actor, **fields)


def means_as_text(client: Client) -> dict[str, Any]:
    """The client's keys, certificates, names and workload, as the form shows them."""
    workload = client.workload
    left_out = {"is_discovered"} | ({"jwks_url"} if workload.get("is_discovered") else set())
    return {
        "key_text": json.dumps(client.jwks, indent=1) if client.jwks else "",
        "tls_lines": [f"{kind}: {name}" for kind, name in client.tls.items()],
        "certificate_text": "".join(_pem(one["certificate"]) for one in client.certificates),
        "workload_lines": [f"{key}: {value}" for key, value in workload.items() if value and key not in left_out],
    }


def _pairs(lines: list[str]) -> dict[str, str]:
    """Lines of `name: value`. Raises ValidationError."""
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not value or name in found:
            raise ValidationError(f"{line!r} is no line of the form name: value, or stands twice.")
        found[name] = value
    return found


def _pem(certificate: str) -> str:
    opened = x509.load_der_x509_certificate(base64.b64decode(certificate))
    return opened.public_bytes(Encoding.PEM).decode()
