"""What the registry needs of a party's SAML metadata; the readers stand in settings.METADATA_READERS."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from broker.errors import BrokerError
from broker.registry.values import BadValue

BINDINGS = {
    "redirect": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
    "post": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
}
"""How we may send an AuthnRequest, best first (SAML bindings sections 3.4 and 3.5)."""


class SigningCertificate(Protocol):
    """A certificate that a party's metadata names for signing."""

    @property
    def der(self) -> bytes: ...
    @property
    def subject(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def not_after(self) -> datetime: ...


class IdentityProviderReading(Protocol):
    """An identity provider, as its metadata describes it."""

    @property
    def entity_id(self) -> str: ...
    @property
    def sso_endpoints(self) -> Mapping[str, str]: ...
    @property
    def signing_certificates(self) -> Sequence[SigningCertificate]: ...
    @property
    def scopes(self) -> Sequence[str]: ...
    @property
    def oddities(self) -> Sequence[str]: ...


class ServiceProviderReading(Protocol):
    """A service provider, as its metadata describes it."""

    @property
    def entity_id(self) -> str: ...


def read_identity_provider(xml: str) -> IdentityProviderReading:
    """Read the metadata of an identity provider. Raises BadValue with the reader's reason."""
    return cast(IdentityProviderReading, _read("identity_provider", xml))


def read_service_provider(xml: str) -> ServiceProviderReading:
    """Read the metadata of a service provider. Raises BadValue with the reader's reason."""
    return cast(ServiceProviderReading, _read("service_provider", xml))


def identity_provider_columns(xml: str) -> dict[str, Any]:
    """The columns of an IdentityProvider that follow from its metadata. Raises BadValue.

    The binding is Redirect where it is offered, else POST.
    """
    reading = read_identity_provider(xml)
    binding = next((name for name, uri in BINDINGS.items() if uri in reading.sso_endpoints), None)
    if binding is None:
        raise BadValue("the metadata offers single sign-on neither by HTTP-Redirect nor by HTTP-POST")
    if not reading.signing_certificates:
        raise BadValue("the metadata names no certificate for signing, so no answer could ever be verified")
    return {
        "metadata": xml,
        "issuer": reading.entity_id,
        "sso_url": reading.sso_endpoints[BINDINGS[binding]],
        "sso_binding": binding,
        "certificates": [
            {
                "der": base64.b64encode(certificate.der).decode(),
                "subject": certificate.subject,
                "fingerprint": certificate.fingerprint,
                "not_after": certificate.not_after.isoformat(),
            }
            for certificate in reading.signing_certificates
        ],
        "asserted_scopes": list(reading.scopes),
    }


def decode(raw: bytes) -> str:
    """Metadata as text. Raises BadValue when it is not UTF-8."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadValue("the metadata is not UTF-8") from error


def _read(kind: str, xml: str) -> object:
    try:
        return import_string(settings.METADATA_READERS[kind])(xml.encode())
    except BrokerError as error:
        reason = error.detail or error.refusal.meaning
        raise BadValue(f"bad metadata: {reason}") from error
