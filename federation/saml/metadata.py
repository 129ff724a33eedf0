"""Reading the metadata of others (SAML metadata 2.4): what an operator registers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TypeVar

from lxml import etree

from broker.errors import BrokerError
from federation.saml.elements import children, find_child, octets_of, text_of
from federation.saml.encrypting import EncryptionKey
from federation.saml.entity import (
    KEY_DESCRIPTOR,
    X509_CERTIFICATE,
    Certificate,
    Contact,
    Role,
    find_role,
    is_http_address,
    plain_http,
    read_certificates,
    unusable,
)
from federation.saml.names import BINDING_POST, BINDING_REDIRECT, BINDING_SOAP, MD, SHIBMD, clark

NAME_ID_FORMAT = clark(MD, "NameIDFormat")
ENCRYPTION_METHOD = clark(MD, "EncryptionMethod")
SINGLE_LOGOUT_SERVICE = clark(MD, "SingleLogoutService")
ACS_INDEX_MAX = 65_535
"""An xs:unsignedShort."""

Metadata = TypeVar("Metadata")


@dataclass(frozen=True, slots=True)
class IdentityProviderMetadata:
    """An identity provider as it describes itself. Believed only because an operator registers it."""

    entity_id: str
    sso_endpoints: Mapping[str, str]
    """Location by binding (its URI), for HTTP-Redirect and HTTP-POST."""
    signing_certificates: tuple[Certificate, ...]
    """At least one."""
    wants_signed_requests: bool
    scopes: tuple[str, ...]
    """shibmd:Scope: the domains that it says it speaks for."""
    scope_patterns: tuple[str, ...]
    """Scopes that are regular expressions; nothing here evaluates them."""
    name_id_formats: tuple[str, ...]
    valid_until: datetime | None
    organisation: str
    contacts: tuple[Contact, ...]
    oddities: tuple[str, ...]
    """Sentences for the operator who registers it."""


@dataclass(frozen=True, slots=True)
class AssertionConsumerService:
    """Where a service provider wants its answers."""

    location: str
    binding: str
    index: int
    is_default: bool


@dataclass(frozen=True, slots=True)
class ServiceProviderMetadata:
    """A service provider as it describes itself. Believed only because an operator registers it."""

    entity_id: str
    assertion_consumer_services: tuple[AssertionConsumerService, ...]
    """By HTTP-POST, the default first, then by index; at least one."""
    signing_certificates: tuple[Certificate, ...]
    encryption_certificates: tuple[Certificate, ...]
    encryption_keys: tuple[EncryptionKey, ...]
    """The same certificates, each with the methods that stand beside it."""
    soap_logout_url: str
    """Where it takes a LogoutRequest by SOAP, without a browser; empty where it does not."""
    wants_assertions_signed: bool
    authn_requests_signed: bool
    name_id_formats: tuple[str, ...]
    valid_until: datetime | None
    organisation: str
    contacts: tuple[Contact, ...]
    oddities: tuple[str, ...]
    """Sentences for the operator who registers it."""


def read_identity_provider(xml: bytes) -> IdentityProviderMetadata:
    """The one identity provider in `xml`: an EntityDescriptor, or an EntitiesDescriptor with exactly one.

    Raises saml.metadata with a detail for the operator.
    """
    return _reading(lambda: _identity_provider(find_role(xml, clark(MD, "IDPSSODescriptor"), noun="identity provider")))


def read_service_provider(xml: bytes) -> ServiceProviderMetadata:
    """The one service provider in `xml`, as above. Raises saml.metadata with a detail for the operator."""
    return _reading(lambda: _service_provider(find_role(xml, clark(MD, "SPSSODescriptor"), noun="service provider")))


def read_registered_service_provider(xml: bytes) -> ServiceProviderMetadata:
    """The one service provider in metadata that an operator registered while it was valid.

    Its validUntil is passed over: the registration is what is trusted, and many applications publish metadata that is
    valid for two days only. Raises saml.metadata.
    """
    descriptor = clark(MD, "SPSSODescriptor")
    return _reading(lambda: _service_provider(find_role(xml, descriptor, noun="service provider", is_registered=True)))


def _reading(read: Callable[[], Metadata]) -> Metadata:
    """Whatever is odd about an element or a time is a fault of the metadata here."""
    try:
        return read()
    except BrokerError as refusal:
        if refusal.code == "saml.metadata":
            raise
        detail = refusal.detail or f"expected {refusal.expected}, found {refusal.actual}"
        raise BrokerError("saml.metadata", detail=detail) from refusal


def _identity_provider(role: Role) -> IdentityProviderMetadata:
    endpoints: dict[str, str] = {}
    for binding, location, _ in role.endpoints(clark(MD, "SingleSignOnService")):
        if binding in (BINDING_REDIRECT, BINDING_POST):
            endpoints.setdefault(binding, location)
    if not endpoints:
        raise unusable("no SingleSignOnService by HTTP-Redirect or HTTP-POST")
    oddities = plain_http(sorted(set(endpoints.values())))
    certificates = read_certificates(role, "signing", oddities)
    if not certificates:
        raise unusable(" ".join(["no usable certificate for signatures.", *oddities]))
    scopes, patterns = _scopes(role, is_regexp=False), _scopes(role, is_regexp=True)
    oddities += [f"The scope {one} is a regular expression and is not used." for one in patterns]
    return IdentityProviderMetadata(
        entity_id=role.entity_id,
        sso_endpoints=MappingProxyType(endpoints),
        signing_certificates=certificates,
        wants_signed_requests=role.flag("WantAuthnRequestsSigned"),
        scopes=scopes,
        scope_patterns=patterns,
        name_id_formats=role.texts(NAME_ID_FORMAT),
        valid_until=role.valid_until,
        organisation=role.organisation(),
        contacts=role.contacts(),
        oddities=tuple(oddities),
    )


def _service_provider(role: Role) -> ServiceProviderMetadata:
    services = [
        AssertionConsumerService(location, binding, _index(element), element.get("isDefault") in ("true", "1"))
        for binding, location, element in role.endpoints(clark(MD, "AssertionConsumerService"))
        if binding == BINDING_POST
    ]
    if not services:
        raise unusable("no AssertionConsumerService by HTTP-POST")
    oddities = plain_http(sorted({one.location for one in services}))
    encryption_certificates = read_certificates(role, "encryption", oddities)
    soap_logout_url = _soap_logout_url(role, oddities)
    return ServiceProviderMetadata(
        entity_id=role.entity_id,
        assertion_consumer_services=tuple(sorted(services, key=lambda one: (not one.is_default, one.index))),
        signing_certificates=read_certificates(role, "signing", oddities),
        encryption_certificates=encryption_certificates,
        encryption_keys=_encryption_keys(role, {one.der for one in encryption_certificates}),
        soap_logout_url=soap_logout_url,
        wants_assertions_signed=role.flag("WantAssertionsSigned"),
        authn_requests_signed=role.flag("AuthnRequestsSigned"),
        name_id_formats=role.texts(NAME_ID_FORMAT),
        valid_until=role.valid_until,
        organisation=role.organisation(),
        contacts=role.contacts(),
        oddities=tuple(oddities),
    )


def _soap_logout_url(role: Role, oddities: list[str]) -> str:
    """The first address for logout by SOAP. One that is none is no reason to refuse the metadata: sign-on works."""
    for element in children(role.descriptor, SINGLE_LOGOUT_SERVICE):
        if element.get("Binding") == BINDING_SOAP:
            location = element.get("Location", "").strip()
            if is_http_address(location):
                oddities += plain_http([location])
                return location
            oddities.append(f"The address {location!r} for logout by SOAP is not used: it is no http address.")
    return ""


def _scopes(role: Role, *, is_regexp: bool) -> tuple[str, ...]:
    """Scopes of the role, and of the entity, where some publish them."""
    found: dict[str, None] = {}
    for holder in (role.descriptor, role.entity):
        extensions = find_child(holder, clark(MD, "Extensions"))
        for element in () if extensions is None else extensions.iterchildren(clark(SHIBMD, "Scope")):
            value = text_of(element).strip()
            if value and (element.get("regexp", "false") in ("true", "1")) is is_regexp:
                found[value] = None
    return tuple(found)


def _encryption_keys(role: Role, usable: set[bytes]) -> tuple[EncryptionKey, ...]:
    """The `usable` certificates (DER) for encryption, as each KeyDescriptor publishes them."""
    return tuple(
        EncryptionKey(der, tuple(one.get("Algorithm", "") for one in children(descriptor, ENCRYPTION_METHOD)))
        for descriptor in children(role.descriptor, KEY_DESCRIPTOR)
        if descriptor.get("use", "encryption") == "encryption"
        for element in descriptor.iter(X509_CERTIFICATE)
        if (der := octets_of(element)) in usable
    )


def _index(element: etree._Element) -> int:
    text = element.get("index", "").strip()
    if not (text.isascii() and text.isdecimal() and int(text[:9]) <= ACS_INDEX_MAX):
        raise unusable(f"an AssertionConsumerService has the index {text[:20]!r}")
    return int(text)
