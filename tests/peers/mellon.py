"""Apache's mod_auth_mellon, Debian's, as an application that is there before and after the broker knows of it."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.peers.keys import make_key
from tests.peers.processes import Server
from tests.peers.relying_parties import PORT, SOURCES

ADDRESS = f"127.0.19.6:{PORT}"
BASE = f"http://{ADDRESS}"
METADATA = f"{BASE}/mellon/metadata"


@contextlib.contextmanager
def running_mellon(*, identity_provider: bytes, log: Path) -> Iterator[None]:
    """The application, which trusts the identity provider of this metadata."""
    # Apache's children are another user's, who cannot look into the session's own folders.
    with tempfile.TemporaryDirectory(prefix="mellon-") as name:
        folder = Path(name)
        make_key(folder, "signing", common_name="mellon")
        (folder / "countersign-idp.xml").write_bytes(identity_provider)
        for path in folder.iterdir():
            path.chmod(0o644)
        folder.chmod(0o755)
        with Server(
            "mod_auth_mellon",
            ["/usr/sbin/apache2", "-DFOREGROUND", "-f", str(SOURCES / "mellon.conf")],
            ready_url=METADATA,
            environment={"FOLDER": name, "ADDRESS": ADDRESS},
            log=log,
        ) as server:
            server.wait()
            yield
