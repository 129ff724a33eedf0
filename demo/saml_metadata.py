"""Metadata (SAML metadata 2.0): the company's own, and that of the other side as it is read."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree
from lxml.builder import ElementMaker

MD = "urn:oasis:names:tc:SAML:2.0:metadata"
DS = "http://www.w3.org/2000/09/xmldsig#"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
SHIBMD = "urn:mace:shibboleth:metadata:1.0"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
SOAP = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
AES_256_GCM = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
RSA_OAEP = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
NAMES = {"md": MD, "ds": DS}

md = ElementMaker(namespace=MD, nsmap={"md": MD})
ds = ElementMaker(namespace=DS, nsmap={"ds": DS})


@dataclass(frozen=True, slots=True)
class ServiceProvider:
    """What a service provider's metadata says. Certificates are DER."""

    entity_id: str
    acs_urls: tuple[str, ...]
    signing_certificates: tuple[bytes, ...]
    encryption_certificate: bytes | None


@dataclass(frozen=True, slots=True)
class IdentityProviderEntity:
    """What an identity provider's metadata says; `sso_url` takes the Redirect binding. Certificates are DER."""

    entity_id: str
    sso_url: str
    signing_certificates: tuple[bytes, ...]


def parser() -> etree.XMLParser:
    """A parser that resolves nothing and fetches nothing."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def read_service_provider(xml: bytes) -> ServiceProvider:
    """A service provider's metadata. Raises ValueError when it is none."""
    entity, role = _read_role(xml, "SPSSODescriptor")
    keys = role.findall("md:KeyDescriptor", NAMES)
    services = role.findall(f"md:AssertionConsumerService[@Binding='{POST}']", NAMES)
    encryption = _certificates(key for key in keys if key.get("use") in (None, "encryption"))
    return ServiceProvider(
        entity_id=entity.get("entityID", ""),
        acs_urls=tuple(service.get("Location", "") for service in services),
        signing_certificates=_certificates(key for key in keys if key.get("use") in (None, "signing")),
        encryption_certificate=encryption[0] if encryption else None,
    )


def read_identity_provider(xml: bytes) -> IdentityProviderEntity:
    """An identity provider's metadata. Raises ValueError when it is none."""
    entity, role = _read_role(xml, "IDPSSODescriptor")
    service = role.find(f"md:SingleSignOnService[@Binding='{REDIRECT}']", NAMES)
    if service is None:
        raise ValueError("the identity provider takes no request by HTTP-Redirect")
    keys = role.findall("md:KeyDescriptor", NAMES)
    return IdentityProviderEntity(
        entity_id=entity.get("entityID", ""),
        sso_url=service.get("Location", ""),
        signing_certificates=_certificates(key for key in keys if key.get("use") in (None, "signing")),
    )


def _read_role(xml: bytes, name: str) -> tuple[etree._Element, etree._Element]:
    try:
        entity = etree.fromstring(xml, parser())
    except etree.XMLSyntaxError as error:
        raise ValueError("the metadata is not XML") from error
    role = entity.find(f"md:{name}", NAMES)
    if role is None:
        raise ValueError(f"the metadata has no {name}")
    return entity, role


def _certificates(keys: Iterable[etree._Element]) -> tuple[bytes, ...]:
    elements = [one for key in keys for one in key.iter(f"{{{DS}}}X509Certificate")]
    return tuple(base64.b64decode(one.text or "") for one in elements)


def write_identity_provider(*, entity_id: str, sso_url: str, certificate: bytes, scope: str) -> bytes:
    """An identity provider's own metadata, for whoever is to trust it."""
    shibmd = ElementMaker(namespace=SHIBMD, nsmap={"shibmd": SHIBMD})
    entity = md.EntityDescriptor(
        md.IDPSSODescriptor(
            md.Extensions(shibmd.Scope(scope, regexp="false")),
            _key_descriptor(certificate, use="signing"),
            md.NameIDFormat(PERSISTENT),
            md.SingleSignOnService(Binding=REDIRECT, Location=sso_url),
            WantAuthnRequestsSigned="true",
            protocolSupportEnumeration=SAMLP,
        ),
        entityID=entity_id,
    )
    return bytes(etree.tostring(entity, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def write_service_provider(
    *, entity_id: str, acs_url: str, slo_url: str, signing_certificate: bytes, encryption_certificate: bytes
) -> bytes:
    """A service provider's own metadata: it signs its requests, wants assertions signed and encrypted, and takes
    LogoutRequests by SOAP."""
    entity = md.EntityDescriptor(
        md.SPSSODescriptor(
            _key_descriptor(signing_certificate, use="signing"),
            _key_descriptor(encryption_certificate, AES_256_GCM, RSA_OAEP, use="encryption"),
            md.SingleLogoutService(Binding=SOAP, Location=slo_url),
            md.NameIDFormat(PERSISTENT),
            md.AssertionConsumerService(Binding=POST, Location=acs_url, index="0", isDefault="true"),
            AuthnRequestsSigned="true",
            WantAssertionsSigned="true",
            protocolSupportEnumeration=SAMLP,
        ),
        entityID=entity_id,
    )
    return bytes(etree.tostring(entity, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def _key_descriptor(certificate: bytes, *methods: str, use: str) -> etree._Element:
    text = base64.b64encode(certificate).decode()
    descriptor: etree._Element = md.KeyDescriptor(
        ds.KeyInfo(ds.X509Data(ds.X509Certificate(text))),
        *(md.EncryptionMethod(Algorithm=method) for method in methods),
        use=use,
    )
    return descriptor
