"""Acme's integrations: what their processes ask Countersign for, and what the demonstration's page says of them."""

import base64
import json
import re
import secrets
import urllib.request
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from demo.addresses import Addresses
from demo.fetching import fetch_object

API = "https://erp.acme.example/api"
"""A name, not an address: it stays when the ports change."""
SYNC, EXPORT, GATEWAY = "nightly-sync", "legacy-export", "erp-gateway"
CLIENTS = (SYNC, EXPORT, GATEWAY)
FIRST_DAY_FILE = "first-day"
_IN_DAYS = re.compile(r"\bin (\d+) days$", re.MULTILINE)


def keep_secret(folder: Path, name: str) -> str:
    """The secret of a client, made at the first time."""
    path = folder / f"{name}.secret"
    if not path.exists():
        path.write_text(secrets.token_urlsafe(32))
    return path.read_text()


def date_flows(text: str, folder: Path, *, today: date) -> str:
    """`text` with the dates for "in 9 days". They are counted from the first start, so that a flow does end."""
    path = folder / FIRST_DAY_FILE
    if not path.exists():
        path.write_text(today.isoformat())
    first = date.fromisoformat(path.read_text())
    return _IN_DAYS.sub(lambda found: str(first + timedelta(days=int(found[1]))), text)


class Integrations:
    """The three clients, with the secrets in `folder`. Each method is real requests; OSError, ValueError go through."""

    def __init__(self, addresses: Addresses, folder: Path) -> None:
        self.broker = addresses.broker
        self.secrets = {client: keep_secret(folder, client) for client in CLIENTS}

    def ask_once(self) -> None:
        """One night: a token in its flow and one outside, a look at the first, and decisions of either kind."""
        token = self.get_token(SYNC, "orders.read")
        self.get_token(EXPORT, "orders.change")
        self._send(GATEWAY, "/oauth/introspect", form={"token": token})
        sync, export = ({"type": "client", "id": name} for name in (SYNC, EXPORT))
        read, change = {"name": "read"}, {"name": "change"}
        small, closed = ({"type": "order", "id": number} for number in ("4711", "4712"))
        asked = (sync, read, small), (sync, change, closed), (export, read, small)
        items = [{"subject": one[0], "action": one[1], "resource": one[2]} for one in asked]
        self._send(GATEWAY, "/access/v1/evaluations", body={"evaluations": items})

    def get_token(self, client: str, scope: str) -> str:
        """An access token of the client for the ERP's API."""
        form = {"grant_type": "client_credentials", "resource": API, "scope": scope}
        return str(self._send(client, "/oauth/token", form=form)["access_token"])

    def box(self) -> dict[str, Any]:
        """What the page says to who builds an integration: commands to copy, and pages of the console."""
        return {
            "title": "For integrations",
            "text": "Commands for a terminal on this machine, in this order. The secrets are this installation's own.",
            "snippets": [{"label": label, "code": code} for label, code in self._snippets().items()],
            "links": [
                {"label": label, "url": f"{self.broker}/admin/{path}", "text": text} for label, path, text in _LINKS
            ],
        }

    def _snippets(self) -> dict[str, str]:
        decision = {
            "subject": {"type": "client", "id": SYNC},
            "action": {"name": "read"},
            "resource": {"type": "order", "id": "4711"},
        }
        ask = (f"--data grant_type=client_credentials --data resource={API}",)
        token = self._curl(SYNC, "/oauth/token", *ask, '| sed \'s/.*"access_token": *"\\([^"]*\\)".*/\\1/\'')
        return {
            f"A token for {SYNC}, ten minutes long and for one API": f'TOKEN=$({token})\necho "$TOKEN"',
            "Is it good, and what does it say? The ERP's gateway asks": self._curl(
                GATEWAY, "/oauth/introspect", '--data token="$TOKEN"; echo'
            ),
            "A scope outside the flow is refused, with a code": self._curl(
                SYNC, "/oauth/token", *ask, "--data scope=orders.change; echo"
            ),
            f"May {SYNC} read order 4711? The gateway asks for a decision": self._curl(
                GATEWAY,
                "/access/v1/evaluation",
                "--header 'Content-Type: application/json'",
                f"--data '{json.dumps(decision)}'; echo",
            ),
        }

    def _curl(self, client: str, path: str, *more: str) -> str:
        proof = f"--user {client}:{self.secrets[client]}"
        return " \\\n  ".join((f"curl --silent {proof}", f"{self.broker}{path}", *more))

    def _send(
        self, client: str, path: str, *, form: dict[str, str] | None = None, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        proof = base64.b64encode(f"{client}:{self.secrets[client]}".encode()).decode()
        content_type = "application/json" if form is None else "application/x-www-form-urlencoded"
        request = urllib.request.Request(
            f"{self.broker}{path}",
            data=(json.dumps(body) if form is None else urlencode(form)).encode(),
            headers={"Authorization": f"Basic {proof}", "Content-Type": content_type},
        )
        return fetch_object(request)


_LINKS = (
    ("Flows", "registry/flow/", f"What {EXPORT} asked for outside its flow waits for an owner."),
    ("Clients", "registry/client/", "Each credential with its ends and its uses."),
    ("Policies", "access/policyversion/", "One is in force, one is tried beside it."),
    ("Decisions", "access/decision/", "Each with the rules that made it, to be made again."),
)
