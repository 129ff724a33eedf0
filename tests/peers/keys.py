"""Keys of the peers, made anew for each run."""

import subprocess
from pathlib import Path

_NEW_KEY = ("-newkey", "rsa:2048", "-nodes")


def make_key(folder: Path, name: str, *, common_name: str) -> None:
    """Make an RSA key and a certificate of it: `<name>.key` and `<name>.crt` in `folder`."""
    _openssl(
        *("req", "-x509", *_NEW_KEY, "-days", "2", "-subj", f"/CN={common_name}"),
        *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"),
    )


def make_authority(folder: Path, name: str) -> None:
    """Make a certificate authority, likewise."""
    make_key(folder, name, common_name=name)


def make_certificate(folder: Path, name: str, *, subject: str, authority: str, address: str = "") -> None:
    """Make a key and a certificate that the authority signed, likewise. `address`: an IP address that it is for."""
    request = folder / f"{name}.csr"
    _openssl("req", *_NEW_KEY, "-subj", subject, "-keyout", folder / f"{name}.key", "-out", request)
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName=IP:{address}\n" if address else "basicConstraints=CA:FALSE\n")
    _openssl(
        *("x509", "-req", "-in", request, "-days", "2", "-extfile", extensions, "-CAcreateserial"),
        *("-CA", folder / f"{authority}.crt", "-CAkey", folder / f"{authority}.key", "-out", folder / f"{name}.crt"),
    )


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
