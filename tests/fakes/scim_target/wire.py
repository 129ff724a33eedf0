"""What passes between the front and an engine, without HTTP."""

import json
from dataclasses import dataclass, field
from typing import Any

JSON = "application/scim+json"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


@dataclass(slots=True)
class Ask:
    """A request below the SCIM root; `path` begins with a slash, header names are lower-case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    number: int = 0


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A SCIM error (RFC 7644 section 3.12)."""

    def __init__(self, status: int, detail: str, kind: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind

    @property
    def document(self) -> dict[str, Any]:
        kind = {"scimType": self.kind} if self.kind else {}
        return {"schemas": [ERROR], "status": str(self.status), "detail": str(self), **kind}

    @property
    def answer(self) -> Answer:
        return Answer(self.status, json.dumps(self.document).encode(), {"Content-Type": JSON})
