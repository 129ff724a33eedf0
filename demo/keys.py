"""The company's own key and certificate, kept in a folder between starts."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

LIFETIME = timedelta(days=3650)
RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An RSA key and its self-signed certificate (DER)."""

    private: RSAPrivateKey
    certificate: bytes


def make_key_pair(name: str) -> KeyPair:
    """A new key with a certificate for `name`."""
    private = generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .sign(private, hashes.SHA256())
    )
    return KeyPair(private, certificate.public_bytes(serialization.Encoding.DER))


def load_key_pair(path: Path, *, name: str) -> KeyPair:
    """The key pair that `path` holds as PEM; made at the first time, readable by its owner only."""
    if not path.exists():
        made = make_key_pair(name)
        pem = made.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ) + x509.load_der_x509_certificate(made.certificate).public_bytes(serialization.Encoding.PEM)
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(pem)
        draft.replace(path)
    pem = path.read_bytes()
    private = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(private, RSAPrivateKey):
        raise TypeError(f"{path} holds no RSA key")
    return KeyPair(private, x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER))
