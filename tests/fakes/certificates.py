"""Client certificates made with `cryptography`, and how a proxy passes them on."""

import base64
import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from django.utils import timezone

from tests.fakes.tokens import ec_key

SUBJECT = "CN=nightly,OU=Integration,O=Acme,C=NO"


def make_certificate(
    subject: str = SUBJECT,
    *,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    dns: Sequence[str] = (),
    uris: Sequence[str] = (),
    addresses: Sequence[str] = (),
    emails: Sequence[str] = (),
    begins_at: datetime | None = None,
    ends_at: datetime | None = None,
    padding: int = 0,
) -> bytes:
    """DER of a self-signed certificate; `padding` bytes in an extension make it large."""
    key = key or ec_key(number=40)
    name = x509.Name.from_rfc4514_string(subject)
    now = timezone.now()
    names: list[x509.GeneralName] = [x509.DNSName(one) for one in dns]
    names += [x509.UniformResourceIdentifier(one) for one in uris]
    names += [x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]
    names += [x509.RFC822Name(one) for one in emails]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins_at or now - timedelta(days=1))
        .not_valid_after(ends_at or now + timedelta(days=90))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if padding:
        oid = x509.ObjectIdentifier("1.3.6.1.4.1.55555.1")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, bytes(padding)), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def pem(der: bytes) -> str:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()


def as_client_cert(der: bytes) -> str:
    """The value of RFC 9440's header."""
    return f":{base64.b64encode(der).decode()}:"


def as_escaped_pem(der: bytes) -> str:
    """The value of nginx's `$ssl_client_escaped_cert`."""
    return quote(pem(der), safe="")
