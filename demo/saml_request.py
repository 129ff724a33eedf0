"""AuthnRequests by the Redirect binding (SAML core 3.4.1, bindings 3.4), verified before they are believed."""

import base64
import binascii
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from lxml import etree

from demo.saml_metadata import POST, ServiceProvider, parser

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
INFLATED_BYTES = 64 * 1024
GREATEST_AGE = timedelta(minutes=5)
NAMES = {"saml": SAML, "samlp": SAMLP}


class RequestRefused(Exception):
    """The text says why, for the page."""


@dataclass(frozen=True, slots=True)
class AuthnRequest:
    """A verified request. `contexts` are the acceptable AuthnContextClassRefs; none: any."""

    request_id: str
    service_provider: ServiceProvider
    acs_url: str
    relay_state: str
    force: bool
    passive: bool
    contexts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Unverified:
    root: etree._Element
    parameters: Mapping[str, bytes]
    raw: Mapping[str, str]
    service_provider: ServiceProvider
    sso_url: str
    now: datetime


def read_authn_request(
    query_string: str, *, service_provider: ServiceProvider, sso_url: str, now: datetime
) -> AuthnRequest:
    """The request in a raw query string, after every check. Raises RequestRefused."""
    raw = _split(query_string)
    parameters = {name: unquote_to_bytes(value.replace("+", " ")) for name, value in raw.items()}
    if "SAMLRequest" not in parameters:
        raise RequestRefused("There is no SAMLRequest in the address.")
    root = _parse(_inflate(parameters["SAMLRequest"]))
    unverified = _Unverified(root, parameters, raw, service_provider, sso_url, now)
    for check in CHECKS:
        check(unverified)
    context = "samlp:RequestedAuthnContext/saml:AuthnContextClassRef"
    return AuthnRequest(
        request_id=root.get("ID", ""),
        service_provider=service_provider,
        acs_url=root.get("AssertionConsumerServiceURL") or service_provider.acs_urls[0],
        relay_state=parameters.get("RelayState", b"").decode(),
        force=root.get("ForceAuthn") in ("true", "1"),
        passive=root.get("IsPassive") in ("true", "1"),
        contexts=tuple((one.text or "").strip() for one in root.findall(context, NAMES)),
    )


def _split(query_string: str) -> dict[str, str]:
    """The parameters as they came, still percent-encoded: the signature covers them in this form."""
    raw: dict[str, str] = {}
    for part in query_string.split("&"):
        name, _, value = part.partition("=")
        if name in raw:
            raise RequestRefused(f"The address has {name} twice.")
        raw[name] = value
    return raw


def _inflate(value: bytes) -> bytes:
    try:
        inflater = zlib.decompressobj(-15)
        xml = inflater.decompress(base64.b64decode(value, validate=True), INFLATED_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise RequestRefused("The SAMLRequest cannot be decoded.") from error
    if inflater.unconsumed_tail:
        raise RequestRefused("The SAMLRequest is too large.")
    return xml


def _parse(xml: bytes) -> etree._Element:
    try:
        root = etree.fromstring(xml, parser())
    except etree.XMLSyntaxError as error:
        raise RequestRefused("The SAMLRequest is not XML.") from error
    if root.getroottree().docinfo.internalDTD is not None or root.tag != f"{{{SAMLP}}}AuthnRequest":
        raise RequestRefused("The SAMLRequest is no AuthnRequest.")
    return root


def check_signature(unverified: _Unverified) -> None:
    """Signed by a key of the service provider's metadata, over the octets as they came (bindings 3.4.4.1)."""
    if unverified.parameters.get("SigAlg") != RSA_SHA256.encode():
        raise RequestRefused("The request is not signed with RSA-SHA256.")
    names = [name for name in ("SAMLRequest", "RelayState", "SigAlg") if name in unverified.raw]
    signed = "&".join(f"{name}={unverified.raw[name]}" for name in names).encode()
    try:
        signature = base64.b64decode(unverified.parameters.get("Signature", b""), validate=True)
    except binascii.Error as error:
        raise RequestRefused("The request's signature cannot be decoded.") from error
    for certificate in unverified.service_provider.signing_certificates:
        key = x509.load_der_x509_certificate(certificate).public_key()
        if isinstance(key, RSAPublicKey):
            try:
                key.verify(signature, signed, PKCS1v15(), hashes.SHA256())
            except InvalidSignature:
                continue
            return
    raise RequestRefused("The request is not signed by a key of the service provider's metadata.")


def check_issuer(unverified: _Unverified) -> None:
    issuer = unverified.root.findtext("saml:Issuer", "", NAMES).strip()
    if issuer != unverified.service_provider.entity_id:
        raise RequestRefused(f"We do not know the service provider {issuer!r}.")


def check_destination(unverified: _Unverified) -> None:
    if unverified.root.get("Destination") != unverified.sso_url:
        raise RequestRefused("The request was meant for another identity provider.")


def check_age(unverified: _Unverified) -> None:
    text = unverified.root.get("IssueInstant", "")
    try:
        issued = datetime.fromisoformat(text)
    except ValueError as error:
        raise RequestRefused("The request does not say when it was issued.") from error
    if abs(unverified.now - issued.replace(tzinfo=issued.tzinfo or UTC)) > GREATEST_AGE:
        raise RequestRefused("The request is too old, or its clock and ours differ.")


def check_acs(unverified: _Unverified) -> None:
    """Answers go only where the metadata says."""
    known = unverified.service_provider.acs_urls
    asked = unverified.root.get("AssertionConsumerServiceURL")
    if not known or (asked is not None and asked not in known):
        raise RequestRefused("The request wants its answer at an address that is not in the metadata.")
    if unverified.root.get("ProtocolBinding", POST) != POST:
        raise RequestRefused("The request wants its answer by a binding that we do not offer.")


def check_id(unverified: _Unverified) -> None:
    if not unverified.root.get("ID"):
        raise RequestRefused("The request has no ID.")


CHECKS: tuple[Callable[[_Unverified], None], ...] = (
    check_signature,
    check_issuer,
    check_destination,
    check_age,
    check_acs,
    check_id,
)
