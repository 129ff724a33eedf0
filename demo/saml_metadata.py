"""Metadata (SAML metadata 2.0): ours as identity provider, and a service provider's as we read it."""

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
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
NAMES = {"md": MD, "ds": DS}


@dataclass(frozen=True, slots=True)
class ServiceProvider:
    """What a service provider's metadata says. Certificates are DER."""

    entity_id: str
    acs_urls: tuple[str, ...]
    signing_certificates: tuple[bytes, ...]
    encryption_certificate: bytes | None


def parser() -> etree.XMLParser:
    """A parser that resolves nothing and fetches nothing."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def read_service_provider(xml: bytes) -> ServiceProvider:
    """A service provider's metadata. Raises ValueError when it is none."""
    try:
        entity = etree.fromstring(xml, parser())
    except etree.XMLSyntaxError as error:
        raise ValueError("the service provider's metadata is not XML") from error
    role = entity.find("md:SPSSODescriptor", NAMES)
    if role is None:
        raise ValueError("the service provider's metadata has no SPSSODescriptor")
    keys = role.findall("md:KeyDescriptor", NAMES)
    services = role.findall(f"md:AssertionConsumerService[@Binding='{POST}']", NAMES)
    encryption = _certificates(key for key in keys if key.get("use") in (None, "encryption"))
    return ServiceProvider(
        entity_id=entity.get("entityID", ""),
        acs_urls=tuple(service.get("Location", "") for service in services),
        signing_certificates=_certificates(key for key in keys if key.get("use") in (None, "signing")),
        encryption_certificate=encryption[0] if encryption else None,
    )


def _certificates(keys: Iterable[etree._Element]) -> tuple[bytes, ...]:
    elements = [one for key in keys for one in key.iter(f"{{{DS}}}X509Certificate")]
    return tuple(base64.b64decode(one.text or "") for one in elements)


def write_identity_provider(*, entity_id: str, sso_url: str, certificate: bytes, scope: str) -> bytes:
    """Our metadata, for whoever is to trust us."""
    md = ElementMaker(namespace=MD, nsmap={"md": MD})
    ds = ElementMaker(namespace=DS, nsmap={"ds": DS})
    shibmd = ElementMaker(namespace=SHIBMD, nsmap={"shibmd": SHIBMD})
    entity = md.EntityDescriptor(
        md.IDPSSODescriptor(
            md.Extensions(shibmd.Scope(scope, regexp="false")),
            md.KeyDescriptor(
                ds.KeyInfo(ds.X509Data(ds.X509Certificate(base64.b64encode(certificate).decode()))), use="signing"
            ),
            md.NameIDFormat(PERSISTENT),
            md.SingleSignOnService(Binding=REDIRECT, Location=sso_url),
            WantAuthnRequestsSigned="true",
            protocolSupportEnumeration=SAMLP,
        ),
        entityID=entity_id,
    )
    return bytes(etree.tostring(entity, xml_declaration=True, encoding="UTF-8", pretty_print=True))
