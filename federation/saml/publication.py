"""Publishing our own metadata (SAML metadata 2.4.3 and 2.4.4), built from pysaml2's schema classes."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from saml2 import element_to_extension_element, md, xmldsig
from saml2.extension import shibmd

from federation.saml.algorithms import GCM_CIPHERS, RSA_OAEP_MGF1P
from federation.saml.entity import Contact
from federation.saml.names import BINDING_POST, BINDING_REDIRECT, DS, MD, SAMLP, SHIBMD
from federation.saml.signing import Signer, sign_enveloped

_PREFIXES = {"md": MD, "ds": DS, "shibmd": SHIBMD}


@dataclass(frozen=True, slots=True)
class Organisation:
    """Who runs us, in one language."""

    name: str
    display_name: str
    url: str
    language: str = "en"


def write_service_provider(
    *,
    entity_id: str,
    acs_url: str,
    signing_certificates: Sequence[bytes],
    encryption_certificates: Sequence[bytes],
    signs_requests: bool,
    signer: Signer,
    name_id_formats: Sequence[str] = (),
    organisation: Organisation | None = None,
    contacts: Sequence[Contact] = (),
) -> bytes:
    """Our signed EntityDescriptor towards one identity provider, as UTF-8 XML in the schema's order.

    Certificates are DER; several of one use are a rollover. The ID is made from the entityID, so that equal
    settings give equal bytes.
    """
    descriptor = md.EntityDescriptor(
        entity_id=entity_id,
        id=_stable_id(entity_id),
        spsso_descriptor=md.SPSSODescriptor(
            protocol_support_enumeration=SAMLP,
            authn_requests_signed=_boolean(signs_requests),
            want_assertions_signed="true",
            key_descriptor=[
                *(_key_descriptor(one, "signing") for one in signing_certificates),
                *(_key_descriptor(one, "encryption") for one in encryption_certificates),
            ],
            name_id_format=[md.NameIDFormat(text=one) for one in name_id_formats],
            assertion_consumer_service=[
                md.AssertionConsumerService(binding=BINDING_POST, location=acs_url, index="0", is_default="true")
            ],
        ),
        organization=None if organisation is None else _organisation(organisation),
        contact_person=[_contact_person(one) for one in contacts],
    )
    return sign_enveloped(descriptor.to_string(_PREFIXES), signer=signer)


def write_identity_provider(
    *,
    entity_id: str,
    sso_url: str,
    signing_certificates: Sequence[bytes],
    scopes: Sequence[str],
    name_id_formats: Sequence[str],
    signer: Signer,
    organisation: Organisation | None = None,
    contacts: Sequence[Contact] = (),
) -> bytes:
    """Our signed EntityDescriptor towards all applications, as UTF-8 XML in the schema's order.

    `scopes` are the domains whose scoped attributes we assert: strict applications drop all others without a word.
    Certificates are DER; several are a rollover. Whether requests have to be signed is each application's own matter:
    nothing is said of it. That means the same as WantAuthnRequestsSigned="false" (SAML metadata 2.4.3), on which
    python3-saml would stop signing although its own metadata declares it; "true" would be asked of those who hold no
    key.
    """
    descriptor = md.EntityDescriptor(
        entity_id=entity_id,
        id=_stable_id(entity_id),
        idpsso_descriptor=md.IDPSSODescriptor(
            protocol_support_enumeration=SAMLP,
            extensions=_scopes(scopes),
            key_descriptor=[_key_descriptor(one, "signing") for one in signing_certificates],
            name_id_format=[md.NameIDFormat(text=one) for one in name_id_formats],
            single_sign_on_service=[
                md.SingleSignOnService(binding=one, location=sso_url) for one in (BINDING_REDIRECT, BINDING_POST)
            ],
        ),
        organization=None if organisation is None else _organisation(organisation),
        contact_person=[_contact_person(one) for one in contacts],
    )
    return sign_enveloped(descriptor.to_string(_PREFIXES), signer=signer)


def _stable_id(entity_id: str) -> str:
    return "_" + hashlib.sha256(entity_id.encode("utf-8")).hexdigest()[:40]


def _scopes(scopes: Sequence[str]) -> md.Extensions | None:
    if not scopes:
        return None
    elements = [element_to_extension_element(shibmd.Scope(text=one, regexp="false")) for one in scopes]
    return md.Extensions(extension_elements=elements)


def _key_descriptor(certificate: bytes, use: str) -> md.KeyDescriptor:
    text = base64.b64encode(certificate).decode("ascii")
    methods = [*reversed(GCM_CIPHERS), RSA_OAEP_MGF1P] if use == "encryption" else []
    return md.KeyDescriptor(
        use=use,
        key_info=xmldsig.KeyInfo(x509_data=[xmldsig.X509Data(x509_certificate=xmldsig.X509Certificate(text=text))]),
        encryption_method=[md.EncryptionMethod(algorithm=one) for one in methods],
    )


def _organisation(organisation: Organisation) -> md.Organization:
    language = organisation.language
    return md.Organization(
        organization_name=[md.OrganizationName(text=organisation.name, lang=language)],
        organization_display_name=[md.OrganizationDisplayName(text=organisation.display_name, lang=language)],
        organization_url=[md.OrganizationURL(text=organisation.url, lang=language)],
    )


def _contact_person(contact: Contact) -> md.ContactPerson:
    return md.ContactPerson(
        contact_type=contact.kind,
        given_name=md.GivenName(text=contact.name),
        email_address=[md.EmailAddress(text=f"mailto:{contact.email}")],
    )


def _boolean(value: bool) -> str:  # noqa: FBT001 - an xs:boolean is what it is
    return "true" if value else "false"
