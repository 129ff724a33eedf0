"""How HR tells Countersign of people: SCIM requests in the shapes that Microsoft Entra ID sends."""

import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from demo.fetching import ask
from demo.staff import Colleague

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
JSON = "application/scim+json"
Operation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request with its answer. Status 0: nobody answered, and `answer` says why."""

    at: datetime
    method: str
    address: str
    sent: dict[str, Any] | None
    status: int
    answer: Any

    @property
    def is_well(self) -> bool:
        return 200 <= self.status < 300


class Telling:
    """Tells what changed about one person at a time, each as Entra does: look for the person first, then write."""

    def __init__(self, base_url: str, *, token: str) -> None:
        self.base_url = base_url
        self._token = token

    def tell(self, colleague: Colleague, operations: Sequence[Operation]) -> list[Exchange]:
        """Change what is known of a person, or create who is not known. Returns the requests in their order."""
        wanted = f'externalId eq "{colleague.number}"'
        looked = self._send("GET", f"/Users?filter={quote(wanted)}")
        if not looked.is_well:
            return [looked]
        found = looked.answer.get("Resources") or []
        if not found:
            return [looked, self._send("POST", "/Users", document_of(colleague))]
        patch = {"schemas": [PATCH], "Operations": list(operations) or whole(colleague)}
        return [looked, self._send("PATCH", f"/Users/{quote(str(found[0]['id']), safe='')}", patch)]

    def _send(self, method: str, address: str, body: dict[str, Any] | None = None) -> Exchange:
        request = urllib.request.Request(
            f"{self.base_url}{address}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": JSON, "Accept": JSON},
            method=method,
        )
        now = datetime.now(UTC)
        try:
            status, raw = ask(request)
        except OSError as error:
            return Exchange(now, method, address, body, 0, f"Nobody answered: {type(error).__name__}")
        try:
            answer = json.loads(raw) if raw else None
        except ValueError:
            return Exchange(now, method, address, body, 0, f"Answered {status} with something else than JSON")
        if status < 300 and raw and not isinstance(answer, dict):
            return Exchange(now, method, address, body, 0, f"Answered {status} with something else than an object")
        return Exchange(now, method, address, body, status, answer)


def document_of(colleague: Colleague) -> dict[str, Any]:
    """A whole User."""
    return {
        "schemas": [CORE, ENTERPRISE],
        "externalId": colleague.number,
        "userName": colleague.email,
        "active": colleague.works_here,
        "displayName": colleague.name,
        "emails": [{"primary": True, "type": "work", "value": colleague.email}],
        "meta": {"resourceType": "User"},
        "name": {
            "formatted": colleague.name,
            "familyName": colleague.family_name,
            "givenName": colleague.given_name,
        },
        ENTERPRISE: {"employeeNumber": colleague.number, "department": colleague.department},
    }


def moved(colleague: Colleague) -> list[Operation]:
    """Another department."""
    return [_replace(f"{ENTERPRISE}:department", colleague.department)]


def renamed(colleague: Colleague) -> list[Operation]:
    """Another family name."""
    return [
        _replace("displayName", colleague.name),
        _replace("name.formatted", colleague.name),
        _replace("name.familyName", colleague.family_name),
    ]


def left_or_back(colleague: Colleague) -> list[Operation]:
    """Entra says it with a word where the schema has a boolean."""
    return [_replace("active", str(colleague.works_here))]


def whole(colleague: Colleague) -> list[Operation]:
    """Everything that changes, as after a failure."""
    return [*renamed(colleague), *moved(colleague), *left_or_back(colleague)]


def _replace(path: str, value: str) -> Operation:
    return {"op": "Replace", "path": path, "value": value}
