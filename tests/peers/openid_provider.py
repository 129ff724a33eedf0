"""oidc-provider (npm, certified) as the identity provider of a company."""

import shutil
from pathlib import Path
from urllib.parse import urlsplit

from tests.peers.broker import BASE_URL, ROOT
from tests.peers.processes import Server

SCRIPT = Path(__file__).parent / "identity_providers" / "openid_provider.mjs"
INSTALLED = ROOT / ".peers" / "npm"


def start_openid_provider(slug: str, *, base: str, domain: str, client_secret: str, folder: Path) -> Server:
    """The provider at `base` of people at `domain`. Without a secret our proof is private_key_jwt."""
    # Node.js looks for packages beside the script.
    script = shutil.copy(SCRIPT, INSTALLED)
    address = urlsplit(base)
    proof = {"CLIENT_SECRET": client_secret} if client_secret else {"JWKS_URI": f"{BASE_URL}/oauth/jwks"}
    return Server(
        f"oidc-provider of {slug}",
        ["node", script],
        ready_url=f"{base}/.well-known/openid-configuration",
        environment={
            "ISSUER": base,
            "HOST": str(address.hostname),
            "PORT": str(address.port),
            "DOMAIN": domain,
            "REDIRECT_URI": f"{BASE_URL}/oidc/{slug}/callback",
            **proof,
        },
        log=folder / f"{slug}.log",
    )
