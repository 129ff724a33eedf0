"""One entity of a metadata document, and what every role in it has in common (SAML metadata 2.3 and 2.4).

Comments are usual in metadata and are dropped; a document type is refused. Nothing is fetched here.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import MD5, SHA1
from django.utils import timezone
from lxml import etree

from broker import limits
from broker.errors import BrokerError
from federation.saml.certificates import verification_key
from federation.saml.elements import children, find_child, text_of
from federation.saml.instants import parse_instant
from federation.saml.names import DS, MD, SAMLP, clark

ENTITY = clark(MD, "EntityDescriptor")
ENTITIES = clark(MD, "EntitiesDescriptor")
KEY_DESCRIPTOR = clark(MD, "KeyDescriptor")
X509_CERTIFICATE = clark(DS, "X509Certificate")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as published; `der` is what signatures are verified with."""

    der: bytes
    subject: str
    not_before: datetime
    not_after: datetime
    fingerprint: str
    """SHA-256, lower-case hexadecimal."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A person or desk to talk to. `kind` is technical, support, administrative, billing or other."""

    kind: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Role:
    """One entity in one role, parsed and not yet judged."""

    entity: etree._Element
    descriptor: etree._Element
    valid_until: datetime | None

    @property
    def entity_id(self) -> str:
        return self.entity.get("entityID", "").strip()

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of the role's children called `name`, without the space that indentation brings."""
        return tuple(text for one in children(self.descriptor, name) if (text := text_of(one).strip()))

    def flag(self, name: str) -> bool:
        """An xs:boolean attribute of the role; absent is false."""
        return self.descriptor.get(name, "").strip() in ("true", "1")

    def organisation(self) -> str:
        """The organisation's first display name, or an empty text."""
        holder = find_child(self.entity, clark(MD, "Organization"))
        names = [] if holder is None else children(holder, clark(MD, "OrganizationDisplayName"))
        return text_of(names[0]).strip() if names else ""

    def contacts(self) -> tuple[Contact, ...]:
        return tuple(_contact(one) for one in children(self.entity, clark(MD, "ContactPerson")))

    def endpoints(self, name: str) -> Iterator[tuple[str, str, etree._Element]]:
        """Binding, location and element of each endpoint called `name`. Raises saml.metadata."""
        for element in children(self.descriptor, name):
            location = element.get("Location", "").strip()
            if not is_http_address(location):
                raise unusable(f"the address {location!r} of an endpoint is no http address")
            yield element.get("Binding", ""), location, element


def unusable(detail: str) -> BrokerError:
    """The refusal of metadata, with what is wrong with it."""
    return BrokerError("saml.metadata", detail=detail)


def find_role(xml: bytes, descriptor: str, *, noun: str, is_registered: bool = False) -> Role:
    """The one entity in `xml` that has the role `descriptor` for SAML 2.0; `noun` names it in a refusal.

    Raises saml.metadata: not readable, none or several that fit, an entityID that is none, and expired unless an
    operator registered it when it was not.
    """
    root = _parse(xml)
    found = [
        (entity, role)
        for entity in root.iter(ENTITY)
        for role in children(entity, descriptor)
        if SAMLP in role.get("protocolSupportEnumeration", "").split()
    ]
    if root.tag not in (ENTITY, ENTITIES):
        raise unusable(f"the document is a {etree.QName(root).localname}, not SAML metadata")
    if len({id(entity) for entity, _ in found}) != 1:
        raise unusable(f"one {noun} for SAML 2.0 is needed, and {len(found)} are there")
    entity, element = found[0]
    role = Role(entity, element, _valid_until(element))
    if not is_registered and role.valid_until is not None and role.valid_until <= timezone.now():
        raise unusable(f"the metadata is valid until {role.valid_until} only")
    if not 0 < len(role.entity_id) <= limits.SAML_ENTITY_ID_CHARS:
        raise unusable("the entityID is missing or too long")
    return role


def read_certificates(role: Role, use: str, oddities: list[str]) -> tuple[Certificate, ...]:
    """The usable certificates for `use` (signing or encryption); a key without use serves both.

    What is odd about them is added to `oddities`. Raises saml.metadata for what is no certificate.
    """
    found: dict[str, Certificate] = {}
    for descriptor in children(role.descriptor, KEY_DESCRIPTOR):
        if descriptor.get("use", use) != use:
            continue
        for element in descriptor.iter(X509_CERTIFICATE):
            certificate = _certificate(text_of(element), use, oddities)
            if certificate is not None:
                found[certificate.fingerprint] = certificate
    if len(found) > limits.SAML_CERTIFICATES:
        raise unusable(f"{len(found)} certificates for {use} are too many")
    return tuple(found.values())


def is_http_address(text: str) -> bool:
    """Whether `text` is an absolute http or https address without a fragment."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and not parts.fragment
    except ValueError:
        return False


def plain_http(locations: Sequence[str]) -> list[str]:
    """A sentence for each address that is not https."""
    return [f"The address {one} is not https." for one in locations if urlsplit(one).scheme != "https"]


def _parse(xml: bytes) -> etree._Element:
    if len(xml) > limits.SAML_METADATA_BYTES:
        raise unusable(f"{len(xml)} bytes are more than {limits.SAML_METADATA_BYTES}")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(xml, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise unusable(f"not well-formed XML: {error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise unusable("a document type declaration is not accepted")
    return root


def _valid_until(element: etree._Element) -> datetime | None:
    """The earliest validUntil of the role and of everything around it."""
    holders = [element, *element.iterancestors()]
    texts = [one.get("validUntil", "") for one in holders if "validUntil" in one.attrib]
    return min((parse_instant(text.strip(), name="validUntil") for text in texts), default=None)


def _contact(element: etree._Element) -> Contact:
    def text(name: str) -> str:
        found = children(element, clark(MD, name))
        return text_of(found[0]).strip() if found else ""

    name = " ".join(part for part in (text("GivenName"), text("SurName")) if part) or text("Company")
    return Contact(element.get("contactType", "other"), name, text("EmailAddress").removeprefix("mailto:"))


def _certificate(text: str, use: str, oddities: list[str]) -> Certificate | None:
    """A certificate that is usable, or None with a sentence why not."""
    try:
        der = base64.b64decode("".join(text.split()), validate=True)
        parsed = x509.load_der_x509_certificate(der)
        subject = parsed.subject.rfc4514_string()
        hashed_with = parsed.signature_hash_algorithm
    except (ValueError, binascii.Error, UnsupportedAlgorithm) as error:
        raise unusable(f"a {use} certificate cannot be read: {error}") from error
    try:
        verification_key(der)
    except BrokerError as refusal:
        oddities.append(f"The {use} certificate {subject} is not used: its key is {refusal.actual}.")
        return None
    now = timezone.now()
    if parsed.not_valid_after_utc <= now:
        oddities.append(f"The {use} certificate {subject} expired on {parsed.not_valid_after_utc:%Y-%m-%d}.")
    if parsed.not_valid_before_utc > now:
        oddities.append(f"The {use} certificate {subject} is valid from {parsed.not_valid_before_utc:%Y-%m-%d} on.")
    if isinstance(hashed_with, MD5 | SHA1):
        oddities.append(f"The {use} certificate {subject} is itself signed with {hashed_with.name.upper()}.")
    return Certificate(
        der=der,
        subject=subject,
        not_before=parsed.not_valid_before_utc,
        not_after=parsed.not_valid_after_utc,
        fingerprint=hashlib.sha256(der).hexdigest(),
    )
