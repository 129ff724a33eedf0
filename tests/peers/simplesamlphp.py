"""SimpleSAMLphp, Debian's, on PHP's own server: one instance per company, and one as an application."""

from pathlib import Path
from urllib.parse import urlsplit

from tests.peers.companies import RSA_SHA256, Company
from tests.peers.keys import make_key
from tests.peers.processes import Server

SOURCES = Path(__file__).parent / "simplesamlphp"
CONFIGURATION = SOURCES / "config"
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
        make_key(self.folder, "signing", common_name=self.company.slug)

    def trust(self, metadata: bytes) -> None:
        """Register a service provider."""
        (self.folder / "countersign-sp.xml").write_bytes(metadata)


class Application:
    """An application on SimpleSAMLphp: `/whoami` wants a sign-on and tells who came."""

    def __init__(self, *, base: str, identity_provider: str, folder: Path) -> None:
        self.base = base
        self.folder = folder
        make_key(folder, "signing", common_name="application")
        address = urlsplit(base).netloc
        command = ["php", "-d", "error_reporting=0", "-S", address, "-t", DOCUMENTS, str(SOURCES / "whoami.php")]
        self.server = Server(
            "SimpleSAMLphp as an application",
            command,
            ready_url=f"{base}/module.php/saml/sp/metadata.php/application",
            environment={
                "SIMPLESAMLPHP_CONFIG_DIR": str(CONFIGURATION),
                "PEER_FOLDER": str(folder),
                "PEER_BASE": base,
                "PEER_IDENTITY_PROVIDER": identity_provider,
                "PEER_DOMAIN": "application.example",
                "PEER_NAME_ID": "persistent",
                "PEER_SIGNATURE_ALGORITHM": RSA_SHA256,
                "PEER_STORE": "sql",
            },
            log=folder / "server.log",
        )

    def trust(self, metadata: bytes) -> None:
        """Register the identity provider."""
        (self.folder / "countersign-idp.xml").write_bytes(metadata)
