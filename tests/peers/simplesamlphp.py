"""SimpleSAMLphp, Debian's, on PHP's own server: one instance per company."""

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from tests.peers.companies import Company
from tests.peers.processes import Server

CONFIGURATION = Path(__file__).parent / "simplesamlphp" / "config"
DOCUMENTS = "/usr/share/simplesamlphp/www"


class IdentityProvider:
    """A company's identity provider. Its key, its sessions, its log and the metadata it was given are in `folder`."""

    def __init__(self, company: Company, folder: Path) -> None:
        self.company = company
        self.folder = folder
        folder.mkdir()
        self.make_key()
        command = ["php", "-d", "error_reporting=0", "-S", urlsplit(company.base).netloc, "-t", DOCUMENTS]
        habits = company.habits
        self.server = Server(
            f"SimpleSAMLphp of {company.slug}",
            ["faketime", "-f", habits.clock, *command] if habits.clock else command,
            ready_url=company.metadata_url,
            environment={
                "SIMPLESAMLPHP_CONFIG_DIR": str(CONFIGURATION),
                "PEER_FOLDER": str(folder),
                "PEER_BASE": company.base,
                "PEER_DOMAIN": habits.mail_domain or company.domain,
                "PEER_SIGNED": habits.signed,
                "PEER_ENCRYPTED": "1" if habits.encrypted else "0",
                "PEER_NAME_ID": habits.name_id,
                "PEER_SIGNATURE_ALGORITHM": habits.signature_algorithm,
            },
            log=folder / "server.log",
        )

    def make_key(self) -> None:
        """Make a signing key and its certificate, in place of those that are there."""
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", f"/CN={self.company.slug}"),
                *("-keyout", self.folder / "signing.key", "-out", self.folder / "signing.crt"),
            ],
            check=True,
            capture_output=True,
        )

    def trust(self, metadata: bytes) -> None:
        """Register a service provider."""
        (self.folder / "countersign-sp.xml").write_bytes(metadata)
