"""A certificate authority of one run, in whom only the browser of that run and the parties themselves trust."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

LIFETIME = timedelta(days=2)


class Authority:
    """Writes certificates into `folder`; `certificate` is its own, as PEM."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / "authority.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "the authority of one run")])
        made = _begin(self._name, issuer=self._name, key=self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.certificate.write_bytes(self._sign(made))

    def certify(self, host: str) -> tuple[Path, Path]:
        """A certificate for `host`, and its key (PKCS#8), as PEM files."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
        made = _begin(name, issuer=self._name, key=key)
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        certificate_file, key_file = self.folder / f"{host}.pem", self.folder / f"{host}.key"
        certificate_file.write_bytes(self._sign(made))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate_file, key_file

    def introduce(self, home: Path) -> None:
        """Make a browser whose home folder is `home` trust in us."""
        store = home / ".pki" / "nssdb"
        store.mkdir(parents=True)
        trust = ("-A", "-n", "authority", "-t", "C,,", "-i", str(self.certificate))
        for arguments in (("-N", "--empty-password"), trust):
            subprocess.run(["certutil", "-d", f"sql:{store}", *arguments], check=True, capture_output=True)

    def _sign(self, certificate: x509.CertificateBuilder) -> bytes:
        return certificate.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _begin(name: x509.Name, *, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
    )
