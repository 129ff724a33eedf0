"""Keys of the peers, made anew for each run."""

import subprocess
from pathlib import Path


def make_key(folder: Path, name: str, *, common_name: str) -> None:
    """Make an RSA key and a certificate of it: `<name>.key` and `<name>.crt` in `folder`."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={common_name}"),
            *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"),
        ],
        check=True,
        capture_output=True,
    )
