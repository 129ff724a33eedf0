"""The foreign parties of the token service: clients, resource servers, a proxy that ends TLS. Each is a process."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.peers.broker import BASE_URL, PROXY_HOST, SECRETS
from tests.peers.keys import make_authority, make_certificate, make_key
from tests.peers.processes import Server
from tests.peers.relying_parties import INSTALLED, PORT, SOURCES

ORDERS = f"http://127.0.19.8:{PORT}/orders"
"""The resource that Authlib guards."""
STOCK = f"http://127.0.19.10:{PORT}/stock"
"""The resource that libraries from npm guard."""
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
PROXY = f"https://{PROXY_HOST}:{PORT}"
_AUTHLIB = {
    "authlib-basic": ("client_secret_basic", "PEERS_AUTHLIB_SECRET"),
    "authlib-post": ("client_secret_post", "PEERS_AUTHLIB_SECRET"),
    "orders-api": ("client_secret_basic", "PEERS_ORDERS_SECRET"),
    "authlib-keys": ("private_key_jwt", ""),
    "authlib-keys-as-ever": ("private_key_jwt", ""),
}
_NPM = {
    "npm-basic": "client_secret_basic",
    "npm-bound": "client_secret_post",
    "npm-keys": "private_key_jwt",
    "stock-api": "private_key_jwt",
}


@dataclass(slots=True)
class Told:
    """What a client's library made of an answer: `said`, or the problem that it raised."""

    said: dict[str, Any] | None
    problem: dict[str, Any] | None
    trace_ids: list[str]
    whole: dict[str, Any]

    @property
    def answer(self) -> dict[str, Any]:
        assert self.said is not None, self.whole
        return self.said

    @property
    def token(self) -> str:
        return str(self.answer["access_token"])

    @property
    def refusal(self) -> dict[str, Any]:
        assert self.problem is not None, self.whole
        return self.problem

    @property
    def trace_id(self) -> str:
        """Of the last answer."""
        return self.trace_ids[-1]


@dataclass(slots=True)
class TokenClient:
    """A client in a process of its own, and the trace ids of what it did in this test."""

    base: str
    trace_ids: list[str] = field(default_factory=list)

    def _use(self, wish: dict[str, Any]) -> Told:
        with httpx2.Client(trust_env=False, timeout=30) as http:
            whole = http.post(self.base, json=wish).raise_for_status().json()
        self.trace_ids += whole["trace_ids"]
        return Told(whole.get("said"), whole.get("problem"), whole["trace_ids"], whole)


class AuthlibClient(TokenClient):
    """Authlib's OAuth2Session, as whichever of its registered clients."""

    def use(self, client_id: str, do: str = "fetch_token", *, wish: dict[str, Any] | None = None, **with_: Any) -> Told:
        method, secret = _AUTHLIB[client_id]
        known = {"client_id": client_id, "method": method, "secret": SECRETS.get(secret), "do": do, "with": with_}
        return self._use(known | (wish or {}))

    def ask(self, client_id: str, *, scope: str = "orders.read", resource: str = ORDERS, **wish: Any) -> Told:
        """client_credentials."""
        with_ = {"grant_type": "client_credentials", "scope": scope, "resource": resource}
        return self.use(client_id, wish=wish, **with_)

    def exchange(self, client_id: str, token: str, *, scope: str = "stock.read", resource: str = STOCK) -> Told:
        with_ = {"subject_token": token, "subject_token_type": ACCESS_TOKEN, "scope": scope, "resource": resource}
        return self.use(client_id, grant_type=EXCHANGE, **with_)

    def introspect(self, token: str, *, client_id: str = "orders-api") -> dict[str, Any]:
        return self.use(client_id, "introspect_token", token=token).answer


class OpenIDClient(TokenClient):
    """openid-client, as whichever of its registered clients."""

    def use(self, client_id: str, do: str, *, wish: dict[str, Any] | None = None, **with_: Any) -> Told:
        known = {"client_id": client_id, "authentication": _NPM[client_id], "do": do, "with": with_}
        return self._use(known | (wish or {}))

    def ask(self, client_id: str, *, scope: str = "stock.read", resource: str = STOCK, **wish: Any) -> Told:
        """client_credentials. `dpop` names the key to which the token is bound."""
        return self.use(client_id, "clientCredentialsGrant", wish=wish, scope=scope, resource=resource)

    def exchange(self, client_id: str, token: str, *, resource: str, scope: str, **wish: Any) -> Told:
        with_ = {"subject_token": token, "subject_token_type": ACCESS_TOKEN, "scope": scope, "resource": resource}
        return self.use(client_id, "genericGrantRequest", wish=wish, grant_type=EXCHANGE, **with_)

    def fetch(self, token: str, url: str = STOCK, *, scheme: str = "", dpop: str = "") -> Told:
        """Call a resource: as the library does it, with a proof by the key `dpop`; or bare, under `scheme`."""
        with_ = {"url": url, "token": token} | ({"scheme": scheme} if scheme else {})
        return self.use("npm-basic", "fetch", wish={"dpop": dpop} if dpop else {}, **with_)

    def again(self) -> Told:
        """The last request once more, byte by byte."""
        return self.use("npm-basic", "again")


@contextmanager
def running_authlib_client(folder: Path) -> Iterator[str]:
    with _python("authlib_client", "127.0.19.7", folder, ready="/jwks") as base:
        yield base


@contextmanager
def running_authlib_resource(folder: Path) -> Iterator[str]:
    known = {"CLIENT_ID": "orders-api", "CLIENT_SECRET": SECRETS["PEERS_ORDERS_SECRET"], "RESOURCE": ORDERS}
    with _python("authlib_resource", "127.0.19.8", folder, ready="/up", **known) as base:
        yield base


@contextmanager
def running_openid_client(folder: Path) -> Iterator[str]:
    secret = SECRETS["PEERS_NPM_SECRET"]
    secrets = json.dumps({"npm-basic": secret, "npm-bound": secret})
    with _node("token_client", "127.0.19.9", folder, ready="/jwks", SECRETS=secrets) as base:
        yield base


@contextmanager
def running_npm_resource(folder: Path) -> Iterator[str]:
    with _node("resource_server", "127.0.19.10", folder, ready="/up", RESOURCE=STOCK) as base:
        yield base


@dataclass(frozen=True, slots=True)
class Certificates:
    """Keys and certificates of one run, in PEM: {name: (certificate, key)} by `of`."""

    folder: Path

    def of(self, name: str) -> tuple[Path, Path]:
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"


@dataclass(slots=True)
class Curl:
    """curl through the proxy, with a certificate or without, and the trace ids of what it did in this test."""

    certificates: Certificates
    trace_ids: list[str] = field(default_factory=list)

    def ask(self, path: str, *options: str, certificate: str = "") -> tuple[int, dict[str, Any]]:
        """Status and JSON of the answer."""
        authority, _ = self.certificates.of("authority")
        with_certificate: list[str] = []
        if certificate:
            own, key = self.certificates.of(certificate)
            with_certificate = ["--cert", str(own), "--key", str(key)]
        done = subprocess.run(
            [
                *("curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--cacert", authority),
                *("--write-out", "\n%{http_code} %header{Countersign-Trace}", *with_certificate, *options),
                path if path.startswith("http") else f"{PROXY}{path}",
            ],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        body, _, last = done.stdout.rpartition("\n")
        status, _, trace_id = last.partition(" ")
        self.trace_ids += [trace_id] if trace_id else []
        return int(status), json.loads(body) if body.startswith("{") else {"text": body}


@contextmanager
def running_proxy(log: Path) -> Iterator[Certificates]:
    """Apache, which ends TLS; clients' certificates of its authority, of another one, and one that signs itself."""
    # Apache's children are another user's, who cannot look into the session's own folders.
    with tempfile.TemporaryDirectory(prefix="proxy-") as name:
        folder = Path(name)
        make_authority(folder, "authority")
        make_authority(folder, "other-authority")
        make_certificate(folder, "server", subject=f"/CN={PROXY_HOST}", authority="authority", address=PROXY_HOST)
        subject = "/C=NO/O=Both/OU=Integration/CN="
        make_certificate(folder, "nightly", subject=f"{subject}nightly", authority="authority")
        make_certificate(folder, "daily", subject=f"{subject}daily", authority="authority")
        make_certificate(folder, "look-alike", subject=f"{subject}nightly", authority="other-authority")
        make_key(folder, "pinned", common_name="pinned")
        for path in folder.iterdir():
            path.chmod(0o644)
        folder.chmod(0o755)
        environment = {"FOLDER": name, "ADDRESS": f"{PROXY_HOST}:{PORT}", "HOST": PROXY_HOST}
        with Server(
            "the proxy that ends TLS",
            ["/usr/sbin/apache2", "-DFOREGROUND", "-f", str(SOURCES / "proxy.conf")],
            ready_url=f"{PROXY}/health/live",
            authority=folder / "authority.crt",
            environment=environment,
            log=log,
        ) as server:
            server.wait()
            yield Certificates(folder)


@contextmanager
def _python(name: str, host: str, folder: Path, *, ready: str, **environment: str) -> Iterator[str]:
    command = [str(INSTALLED / "python" / "bin" / "python"), str(SOURCES / f"{name}.py")]
    with _running(name, command, host, folder, ready=ready, **environment) as base:
        yield base


@contextmanager
def _node(name: str, host: str, folder: Path, *, ready: str, **environment: str) -> Iterator[str]:
    # Node.js looks for packages beside the script.
    script = shutil.copy(SOURCES / "npm" / f"{name}.mjs", INSTALLED / "npm")
    with _running(name, ["node", script], host, folder, ready=ready, **environment) as base:
        yield base


@contextmanager
def _running(
    name: str, command: list[str], host: str, folder: Path, *, ready: str, **environment: str
) -> Iterator[str]:
    base = f"http://{host}:{PORT}"
    with Server(
        name,
        command,
        ready_url=f"{base}{ready}",
        environment={"ISSUER": BASE_URL, "HOST": host, "PORT": str(PORT), **environment},
        log=folder / f"{name}.log",
    ) as server:
        server.wait()
        yield base
