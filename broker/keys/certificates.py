"""Self-signed X.509 certificates: SAML metadata carries our public keys in them."""

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from django.conf import settings

from broker.keys.values import PrivateKey

CERTIFICATE_LIFETIME = timedelta(days=3650)
"""Many identity providers stop a federation when the certificate ends, and few read new metadata by themselves."""


def self_signed(private_key: PrivateKey, *, now: datetime) -> bytes:
    """DER of a certificate for our host, from `now` on for CERTIFICATE_LIFETIME."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, urlsplit(settings.BROKER_BASE_URL).hostname or "")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + CERTIFICATE_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private_key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.DER)


def end_of(certificate: bytes) -> datetime:
    """The last moment of a certificate (DER), aware."""
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc
