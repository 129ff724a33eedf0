"""The flow register as CSV for a spreadsheet, and as JSON for a script."""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import asdict, fields

from broker.registry.flow_report import ClientLine, CredentialLine, FlowLine
from broker.wording import as_cell

CLIENT_COLUMNS = ("client_id", "application", "owner", "kind", "enabled", "enforcement", "authentication")
FLOW_COLUMNS = tuple(field.name for field in fields(FlowLine) if field.name != "marks")


def register_json(clients: Iterable[ClientLine]) -> str:
    """One object: `clients`, each with its credentials, flows and marks."""
    return json.dumps({"clients": [asdict(client) for client in clients]}, ensure_ascii=False, indent=2) + "\n"


def register_csv(clients: Iterable[ClientLine]) -> str:
    """A line for each flow, and one for each client without any; lists are joined by spaces or semicolons."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*CLIENT_COLUMNS, "credentials", *(f"flow_{name}" for name in FLOW_COLUMNS), "marks"])
    for client in clients:
        known = [getattr(client, name) for name in CLIENT_COLUMNS]
        credentials = "; ".join(_told(credential) for credential in client.credentials)
        for flow in client.flows or (None,):
            flow_cells = [getattr(flow, name) for name in FLOW_COLUMNS] if flow else [""] * len(FLOW_COLUMNS)
            marks = "; ".join([*client.marks, *(flow.marks if flow else ())])
            writer.writerow([_cell(value) for value in (*known, credentials, *flow_cells, marks)])
    return out.getvalue()


def _told(credential: CredentialLine) -> str:
    facts = [credential.kind, credential.name]
    facts += [] if credential.is_live else ["over"]
    facts += [f"created {credential.created}"] if credential.created else []
    facts += [f"ends {credential.ends}"] if credential.ends else []
    facts.append(f"last used {credential.last_used or 'never'}")
    return " ".join(facts)


def _cell(value: object) -> str:
    """A text that a spreadsheet does not take for a formula: names come from outside."""
    if isinstance(value, tuple):
        value = " ".join(value)
    text = ("no", "yes")[value] if isinstance(value, bool) else str(value)
    return as_cell(text)
