"""The certificate with which a caller came, when TLS ends before us: read from where the settings say, or nowhere.

A header is only as good as the peer that sets it. It is believed from the networks of `CLIENT_CERTIFICATE_PROXIES`
alone, which drop what callers send under its name, with `_` for `-` too: WSGI cannot tell the two spellings apart.
"""

import base64
import binascii
import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from broker import limits
from broker.errors import BrokerError

IN_ENVIRON = "wsgi"
"""Value of `CLIENT_CERTIFICATE_HEADER` when the WSGI server ends TLS itself and tells us, as mod_ssl does."""
RFC_9440 = "client-cert"
"""The one header with a byte sequence; every other one holds PEM, percent-encoded as nginx does it."""
VERIFIED = "SUCCESS"
"""What nginx and mod_ssl say of a certificate whose chain holds."""
_BYTE_SEQUENCE = re.compile(r":([A-Za-z0-9+/]+={0,2}):", re.ASCII)
_PEM = re.compile(
    r"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\r\n\t ]+)-----END CERTIFICATE-----\s*",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate of whose private key the caller proved possession in TLS, within its dates.

    `chain_verified` says whether whoever ended TLS also verified its chain; without it, only the key means anything.
    """

    der: bytes = field(repr=False)
    thumbprint: str
    """base64url of the SHA-256 of the DER: `x5t#S256` (RFC 8705 section 3.1)."""
    key_thumbprint: str
    """base64url of the SHA-256 of its SubjectPublicKeyInfo, which stays when a key gets another certificate."""
    subject: x509.Name
    dns_names: tuple[str, ...]
    """In lower case."""
    uris: tuple[str, ...]
    addresses: tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ...]
    emails: tuple[str, ...]
    begins_at: datetime
    ends_at: datetime
    chain_verified: bool


def read_client_certificate(request: HttpRequest) -> ClientCertificate | None:
    """The certificate of the caller; None when it came without one, or when nobody whom we believe says so.

    Raises BrokerError("request.client_certificate") for a believed one that is malformed, too large, not one
    certificate, not yet valid or expired.
    """
    source = settings.CLIENT_CERTIFICATE_HEADER
    if not source or not _is_believed(request, source):
        return None
    raw = request.META.get("SSL_CLIENT_CERT" if source == IN_ENVIRON else _meta_name(source), "")
    if not raw:
        return None
    certificate = open_certificate(_der(raw, source), chain_verified=_is_verified(request, source))
    check_dates(certificate, now=timezone.now())
    return certificate


def open_certificate(der: bytes, *, chain_verified: bool) -> ClientCertificate:
    """Take a certificate apart. Raises BrokerError("request.client_certificate"); its dates are not looked at."""
    if len(der) > limits.CLIENT_CERTIFICATE_BYTES:
        raise _refused(f"at most {limits.CLIENT_CERTIFICATE_BYTES} bytes", f"{len(der)} bytes")
    try:
        opened = x509.load_der_x509_certificate(der)
        names = _alternative_names(opened)
        return ClientCertificate(
            der=der,
            thumbprint=thumbprint_of(der),
            key_thumbprint=thumbprint_of(
                opened.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            ),
            subject=opened.subject,
            dns_names=tuple(name.lower() for name in names.get_values_for_type(x509.DNSName)),
            uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
            addresses=tuple(
                address
                for address in names.get_values_for_type(x509.IPAddress)
                if isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address)
            ),
            emails=tuple(names.get_values_for_type(x509.RFC822Name)),
            begins_at=opened.not_valid_before_utc,
            ends_at=opened.not_valid_after_utc,
            chain_verified=chain_verified,
        )
    except Exception as error:  # the library raises what its parts raise; for us all of it is one refusal
        raise _refused("one X.509 certificate", type(error).__name__) from error


def check_dates(certificate: ClientCertificate, *, now: datetime) -> None:
    """The certificate has begun and not ended: whoever ended TLS may have asked no authority about it."""
    if now < certificate.begins_at:
        raise _refused("a certificate that has begun", f"from {certificate.begins_at}")
    if certificate.ends_at < now:
        raise _refused("a certificate that has not ended", f"until {certificate.ends_at}")


def thumbprint_of(raw: bytes) -> str:
    """base64url of the SHA-256, without padding (RFC 7515 section 4.1.8)."""
    return base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=").decode()


def _is_believed(request: HttpRequest, source: str) -> bool:
    """Whether the peer is one that we let speak about its callers. What the server itself put there, it knows."""
    if source == IN_ENVIRON:
        return True
    if not settings.TRUSTED_PROXIES:
        return False
    try:
        peer = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    return any(peer in ipaddress.ip_network(network) for network in settings.CLIENT_CERTIFICATE_PROXIES)


def _is_verified(request: HttpRequest, source: str) -> bool:
    if source == IN_ENVIRON:
        return request.META.get("SSL_CLIENT_VERIFY") == VERIFIED
    header = settings.CLIENT_CERTIFICATE_VERIFIED_HEADER
    return bool(header) and request.META.get(_meta_name(header)) == VERIFIED


def _der(raw: str, source: str) -> bytes:
    if len(raw) > limits.CLIENT_CERTIFICATE_HEADER_CHARS:
        raise _refused(f"at most {limits.CLIENT_CERTIFICATE_HEADER_CHARS} characters", len(raw))
    if source.lower() == RFC_9440:
        found, expected = _BYTE_SEQUENCE.fullmatch(raw.strip()), "one byte sequence (RFC 9440 section 2.1)"
    else:
        text = raw if source == IN_ENVIRON else unquote(raw)
        found, expected = _PEM.fullmatch(text), "one certificate in PEM, percent-encoded"
    if found is None:
        raise _refused(expected, "something else")
    try:
        return base64.b64decode("".join(found[1].split()), validate=True)
    except binascii.Error as error:
        raise _refused("base64", type(error).__name__) from error


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _meta_name(header: str) -> str:
    return f"HTTP_{header.upper().replace('-', '_')}"


def _refused(expected: str, actual: object) -> BrokerError:
    return BrokerError("request.client_certificate", expected=expected, actual=actual)
