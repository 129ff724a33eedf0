"""The applications downstream, each on a foreign OpenID Connect library in a process of its own."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.peers.broker import BASE_URL, ROOT, SECRETS
from tests.peers.companies import PARTIES
from tests.peers.processes import Server

SOURCES = Path(__file__).parent / "applications"
INSTALLED = ROOT / ".peers"
PORT = 18100


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """An application: `/whoami` wants a sign-on and tells who came."""

    base: str
    server: Server

    def at(self, path: str) -> str:
        return f"{self.base}{path}"


def start_mozilla(folder: Path) -> RelyingParty:
    """An application with mozilla-django-oidc."""
    address = f"127.0.19.2:{PORT}"
    return _start(
        "mozilla",
        [str(INSTALLED / "python" / "bin" / "python"), str(SOURCES / "mozilla.py")],
        base=f"http://{address}",
        environment={
            "CLIENT_SECRET": SECRETS["PEERS_MOZILLA_SECRET"],
            "ADDRESS": address,
            "DATABASE": str(folder / "mozilla.sqlite3"),
        },
        log=folder / "server.log",
    )


def start_openid_client(folder: Path) -> RelyingParty:
    """An application with openid-client."""
    host = "127.0.19.3"
    # Node.js looks for packages beside the script.
    script = shutil.copy(SOURCES / "npm" / "relying_party.mjs", INSTALLED / "npm")
    return _start(
        "openid-client",
        ["node", script],
        base=f"http://{host}:{PORT}",
        environment={
            "CLIENT_SECRET": SECRETS["PEERS_OPENID_CLIENT_SECRET"],
            "ALGORITHM": "ES256",
            "HOST": host,
            "PORT": str(PORT),
        },
        log=folder / "server.log",
    )


def start_bound(folder: Path) -> RelyingParty:
    """An application with openid-client, PAR and DPoP, which calls a resource for the person."""
    host = "127.0.19.31"
    script = shutil.copy(SOURCES / "npm" / "relying_party.mjs", INSTALLED / "npm")
    return _start(
        "bound",
        ["node", script],
        base=f"http://{host}:{PORT}",
        environment={
            "CLIENT_SECRET": SECRETS["PEERS_BOUND_SECRET"],
            "ALGORITHM": "ES256",
            "HOST": host,
            "PORT": str(PORT),
            "RESOURCE": f"http://127.0.19.10:{PORT}/stock",
        },
        log=folder / "server.log",
    )


def _start(slug: str, command: list[str], *, base: str, environment: dict[str, str], log: Path) -> RelyingParty:
    applications = yaml.safe_load(PARTIES.read_text())["applications"]
    registered = {row["slug"]: row["oidc"] for row in applications if "oidc" in row}
    known = {"ISSUER": BASE_URL, "CLIENT_ID": registered[slug]["client_id"]}
    server = Server(slug, command, ready_url=f"{base}/up", environment=known | environment, log=log)
    return RelyingParty(base, server)
