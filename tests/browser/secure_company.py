"""The demonstration's companies over https, everybody on a site of their own: what `localhost` cannot show.

The broker runs as the README says for real installations; its TLS ends in the web server. The others are the
demonstration's, in this process. Names end in `.test`, which no name service knows: the browser is told where they are,
and so is this process. Globex, which the broker itself asks, has a name that leads to this machine by definition.
"""

import base64
import contextlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest

from demo import erp, identity_provider
from demo.addresses import NAMES, Addresses
from demo.application import BUSINESSES, make_site
from demo.authorization import Client
from demo.company import COMPANY, SCHEMA, write_company
from demo.erp import ACS_PATH, ERP
from demo.fetching import fetch
from demo.hr_system import STAFF_FILE, HRSystem, make_telling
from demo.identity_provider import IdentityProvider
from demo.openid_provider import CLIENT_ID, SLUG, OpenIDProvider
from demo.staff import Staff
from demo.web import Beside, Site
from tests.browser.authority import Authority
from tests.browser.demonstration import ROOT, Demonstration
from tests.browser.ports import find_port
from tests.peers.processes import Server, outer_environment

HOSTS = {
    "broker": "broker.countersign.test",
    "identity_provider": "idp.acme.test",
    "crm": "crm.initech.test",
    "hr": "hr.hooli.test",
    "globex": "login.globex.localhost",
    "erp": "erp.umbrella.test",
    "hr_system": "people.wayne.test",
}
"""Seven registrable domains."""
HERE = "127.0.0.1"
READY_SECONDS = 60


class SecureAddresses(Addresses):
    """The same ports, each with a host of its own."""

    __slots__ = ()

    def address_of(self, name: str) -> str:
        return f"https://{HOSTS[name]}:{self.port if name == 'broker' else self.port_of(name)}"


class Company(Demonstration):
    """The addresses, and the broker's commands."""

    __slots__ = ()

    @property
    def environment(self) -> dict[str, str]:
        """All that the broker is told."""
        return {
            "DJANGO_SETTINGS_MODULE": "broker.settings",
            "BROKER_BASE_URL": self.broker,
            "BROKER_VAR": str(self.folder / "var"),
            "BROKER_SECRET_KEY": "a secret of one run, which is long enough for Django to take it",
            "BROKER_MASTER_KEYS": f"k1:{base64.b64encode(b'32 bytes which seal only one run').decode()}",
            "BROKER_SQLITE_BEYOND_LOOPBACK": "true",
            "BROKER_OUTGOING_NETWORKS": f"{HERE}/32",
            "BROKER_OUTGOING_CA_FILE": str(self.folder / "authority.pem"),
        }

    def manage(self, *arguments: str) -> str:
        """What a command of `manage.py` prints. Fails with what it says on stderr."""
        told = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=outer_environment() | self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert told.returncode == 0, f"manage.py {arguments[0]}: {told.stdout}{told.stderr}"
        return told.stdout


@contextlib.contextmanager
def running(folder: Path, authority: Authority) -> Iterator[Company]:
    """Everybody answers. While it lasts, this process finds `.test` on this machine and trusts in the authority."""
    company = Company(SecureAddresses(find_port()), passwords={}, folder=folder)
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("SSL_CERT_FILE", str(authority.certificate))
        patch.setattr(socket, "getaddrinfo", _look_up)
        write_company(folder, company.addresses)
        for name, site in _sites(company).items():
            port, files = company.addresses.port_of(name), authority.certify(HOSTS[name])
            stack.enter_context(_serving(site, port=port, files=files))
        (folder / "var").mkdir(mode=0o700)
        company.manage("migrate", "--no-input")
        company.manage("setup")
        company.manage("collectstatic", "--no-input")
        company.manage("declare_policy_schema", str(folder / SCHEMA))
        company.manage("apply", str(folder / COMPANY))
        stack.enter_context(_broker(company, files=authority.certify(HOSTS["broker"])))
        yield company


def _sites(company: Company) -> dict[str, Site | Beside]:
    """The companions by their names, as the demonstration puts them together."""
    addresses, folder = company.addresses, company.folder
    acme = IdentityProvider(
        address=addresses.identity_provider,
        metadata_url=f"{addresses.broker}/saml/sp/{identity_provider.SLUG}/metadata",
        folder=folder,
    )
    client = Client(
        CLIENT_ID, redirect_uri=f"{addresses.broker}/oidc/{SLUG}/callback", jwks_url=f"{addresses.broker}/oauth/jwks"
    )
    globex = OpenIDProvider(address=addresses.globex, client=client, folder=folder)
    party = erp.make_party(folder, address=addresses.erp, metadata_url=f"{addresses.broker}/saml/idp/metadata")
    orders = ERP(party, metadata=erp.make_metadata(folder, address=addresses.erp), broker=addresses.broker)
    staff = Staff(folder / STAFF_FILE)
    people = HRSystem(staff, make_telling(folder, addresses), accounts=f"{addresses.crm}/accounts")
    sites: dict[str, Site | Beside] = {
        "identity_provider": Site(addresses.identity_provider, acme.pages(), on_fault=acme.on_fault),
        "globex": Site(addresses.globex, globex.pages(), on_fault=globex.on_fault),
        "erp": Site(addresses.erp, orders.pages(), on_fault=orders.on_fault, open_to_all=frozenset({ACS_PATH})),
        "hr_system": Site(addresses.hr_system, people.pages(), on_fault=people.on_fault),
    }
    for name in BUSINESSES:
        sites[name] = make_site(name, addresses, folder)
    assert sites.keys() == NAMES.keys()
    return sites


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *_arguments: Any) -> None:
        """Nobody reads it."""


class _Server(WSGIServer):
    """Each connection in a thread, with its handshake: a browser opens some that it never uses."""

    context: ssl.SSLContext

    def server_bind(self) -> None:
        """As the base class, without its look-up of this machine's name."""
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = HERE, int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        threading.Thread(target=self._answer, args=(request, client_address), daemon=True).start()

    def _answer(self, request: Any, client_address: Any) -> None:
        with contextlib.suppress(OSError):
            secure = self.context.wrap_socket(request, server_side=True)
            self.finish_request(secure, client_address)
            self.shutdown_request(secure)


@contextlib.contextmanager
def _serving(site: Site | Beside, *, port: int, files: tuple[Path, Path]) -> Iterator[None]:
    with _Server((HERE, port), _QuietHandler) as server:
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(*files)
        server.set_app(site)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def _broker(company: Company, *, files: tuple[Path, Path]) -> Iterator[None]:
    certificate, key = files
    options = f"--interface wsgi --host {HERE} --port {company.addresses.port} --blocking-threads 6 --no-ws"
    options += f" --ssl-certificate {certificate} --ssl-keyfile {key} --log-level warning"
    server = Server(
        "the broker",
        [sys.executable, "-m", "granian", *options.split(), "broker.wsgi:application"],
        ready_url=f"{company.broker}/health/ready",
        environment=company.environment,
        log=company.folder / "broker.log",
    )
    with server:
        deadline = time.monotonic() + READY_SECONDS
        while not _is_ready(company):
            assert time.monotonic() < deadline, server.last_lines()
            time.sleep(0.1)
        yield


def _is_ready(company: Company) -> bool:
    try:
        fetch(f"{company.broker}/health/ready")
    except OSError:
        return False
    return True


_real_look_up = socket.getaddrinfo


def _look_up(host: Any, *arguments: Any, **named: Any) -> Any:
    """As the system does, but for our own names."""
    return _real_look_up(HERE if host in HOSTS.values() else host, *arguments, **named)
