"""Keys and certificates for the fakes: made once per process, kept in memory, never on disk."""

import datetime
from dataclasses import dataclass
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key and a self-signed certificate of it, in the forms that signers ask for."""

    private_key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def rsa(self) -> rsa.RSAPrivateKey:
        """The private key, where an RSA key is needed."""
        assert isinstance(self.private_key, rsa.RSAPrivateKey)
        return self.private_key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def private_pem(self) -> bytes:
        return self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@cache
def key_pair(name: str, *, kind: str = "rsa", bits: int = 2048, expired: bool = False) -> KeyPair:
    """The key pair called `name`: the same one each time within a process. `kind` is rsa, p256, p384 or p521."""
    curves = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    private_key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if kind == "rsa":
        private_key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    else:
        private_key = ec.generate_private_key(curves[kind])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=700))
        .not_valid_after(now + datetime.timedelta(days=-5 if expired else 3_000))
        .sign(private_key, hashes.SHA256())
    )
    return KeyPair(private_key, certificate)
