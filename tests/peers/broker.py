"""The broker as anybody runs it: started by `manage.py serve`, told of the world by `manage.py apply`."""

import contextlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.peers.companies import PARTIES
from tests.peers.processes import Server, outer_environment

ROOT = Path(__file__).resolve().parent.parent.parent
BASE_URL = "http://127.0.0.1:18100"
PROXY_HOST = "127.0.19.29"
"""The only one that the broker believes about clients' certificates."""
SECRETS = {
    "PEERS_MOZILLA_SECRET": "mozilla's secret: 100% of it & more + 0123456789",
    "PEERS_OPENID_CLIENT_SECRET": "openid-client_s.secret~100%/of+it&more=0123456789",
    "PEERS_LEMONLDAP_SECRET": "lemonldap's secret of letters & digits 0123456789",
    "PEERS_OPENID_PROVIDER_SECRET": "oidc-provider's_secret~100%/of+it&more: 0123456789",
    "PEERS_BOUND_SECRET": "the bound client's_secret~100%/of+it&more: 0123456789",
    "PEERS_AUTHLIB_SECRET": "authlib's secret of letters and digits 0123456789",
    "PEERS_ORDERS_SECRET": "the order API's secret of letters & digits 0123456789",
    "PEERS_NPM_SECRET": "npm's_secret~100%/of+it&more: 0123456789",
}
SAML_METADATA = f"{BASE_URL}/saml/idp/metadata"
"""Our metadata as identity provider, and our entityID."""
READ_TRACE = """
import json, sys
from broker.events.models import Event
from broker.traces.models import Trace
from broker.traces.services import read_trace
trace_id = sys.argv[-1]
header = Trace.objects.filter(pk=trace_id).values("outcome", "code", "connection", "application").first()
events = list(Event.objects.filter(trace_id=trace_id).order_by("id").values("type", "code", "details"))
print(json.dumps({"header": header, "events": events, "hops": read_trace(trace_id)}, default=str))
"""

READ_LEDGER = """
import json
from broker.delivery.models import Delivery
rows = Delivery.objects.filter(kind__startswith="logout.").order_by("id")
print(json.dumps(list(rows.values("id", "kind", "lane", "state", "reason", "detail", "status", "digest"))))
"""


class Broker:
    """A broker of its own: everything that it keeps is in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.environment = {
            "DJANGO_SETTINGS_MODULE": "broker.settings",
            "BROKER_BASE_URL": BASE_URL,
            "BROKER_VAR": str(folder),
            "BROKER_OUTGOING_NETWORKS": "127.0.0.1/32,127.0.19.0/24",
            "BROKER_TRUSTED_PROXIES": "1",
            "BROKER_CLIENT_CERTIFICATE_PROXIES": f"{PROXY_HOST}/32",
            "BROKER_CLIENT_CERTIFICATE_HEADER": "X-SSL-Client-Cert",
            "BROKER_CLIENT_CERTIFICATE_VERIFIED_HEADER": "X-SSL-Client-Verify",
            **SECRETS,
        }
        self._database = folder / "countersign.sqlite3"
        folder.mkdir()
        self.server = Server(
            "the broker",
            [sys.executable, str(ROOT / "manage.py"), "serve"],
            ready_url=f"{BASE_URL}/health/ready",
            environment=self.environment,
            log=folder.with_suffix(".log"),
        )

    def apply(self) -> None:
        """Make what `parties.yaml` says so, metadata fetched anew."""
        self.manage("apply", str(PARTIES))

    def manage(self, *arguments: str) -> str:
        """What a command of `manage.py` prints. Fails with what it says on stderr."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=outer_environment() | self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"manage.py {arguments[0]}: {done.stdout}{done.stderr}"
        return done.stdout

    def reason(self, trace_id: str) -> str:
        """Why a request was refused, from the book: the answer never says. What the flow register says is its code."""
        with contextlib.closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as database:
            found = database.execute(
                "SELECT code, details FROM events_event WHERE trace_id = ? AND type LIKE '%.refused'", [trace_id]
            ).fetchall()
        [(code, details)] = found
        reason = str(json.loads(details)["reason"])
        return str(code) if reason == "flow" else reason

    def trace(self, trace_id: str) -> dict[str, Any]:
        """{header, events, hops} of an attempt, as the console shows it."""
        return dict(self._ask(READ_TRACE, trace_id))

    def logouts(self) -> list[dict[str, Any]]:
        """What the ledger knows of applications that were told of a session's end, the oldest first."""
        return list(self._ask(READ_LEDGER))

    def _ask(self, program: str, *arguments: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", f"import django; django.setup()\n{program}", *arguments],
            cwd=ROOT,
            env=outer_environment() | self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
