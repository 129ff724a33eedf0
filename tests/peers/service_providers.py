"""The applications downstream that speak SAML, each on a foreign product in a process of its own."""

from dataclasses import dataclass
from pathlib import Path

from tests.peers.broker import SAML_METADATA
from tests.peers.keys import make_key
from tests.peers.processes import Server
from tests.peers.relying_parties import INSTALLED, PORT, SOURCES


@dataclass(frozen=True, slots=True)
class Python3SAML:
    """Applications with python3-saml, strict: `/<variant>/whoami` wants a sign-on and tells who came."""

    base: str
    server: Server

    def at(self, variant: str, query: str = "") -> str:
        return f"{self.base}/{variant}/whoami{query}"


def start_python3_saml(folder: Path) -> Python3SAML:
    """All variants, in one process."""
    host = "127.0.19.4"
    make_key(folder, "signing", common_name="python3-saml")
    base = f"http://{host}:{PORT}"
    server = Server(
        "python3-saml",
        [str(INSTALLED / "python" / "bin" / "python"), str(SOURCES / "python3saml.py")],
        ready_url=f"{base}/up",
        environment={
            "IDP_METADATA": SAML_METADATA,
            "HOST": host,
            "PORT": str(PORT),
            "KEY": str(folder / "signing.key"),
            "CERTIFICATE": str(folder / "signing.crt"),
        },
        log=folder / "server.log",
    )
    return Python3SAML(base, server)
