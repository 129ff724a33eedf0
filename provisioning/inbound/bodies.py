"""A request's body: bounded JSON that everybody reads alike, in SCIM's own form before the core sees it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scim2_models import InvalidSyntaxException, SCIMException

from broker import limits
from broker.keys.strict_json import NotStrictJson, read_object
from provisioning.inbound import description
from provisioning.scim.dialects import Normalised, normalise_patch, normalise_resource


@dataclass(slots=True)
class Body:
    """The JSON as it came, the bytes for the core, and what was left out."""

    sent: dict[str, Any] = field(default_factory=dict)
    content: bytes = b""
    ignored: list[str] = field(default_factory=list)
    faults: dict[int, SCIMException] = field(default_factory=dict)
    """Operations of a bulk that are refused by themselves."""

    def part(self, index: int) -> Any:
        """One operation of a bulk as it came."""
        operations = next((one for name, one in self.sent.items() if name.lower() == "operations"), None)
        return operations[index] if isinstance(operations, list) and index < len(operations) else None


def read_body(raw: bytes, *, method: str, path: str) -> Body:
    """Read and normalise. Raises InvalidSyntaxException, MutabilityException."""
    try:
        sent = read_object(raw, depth=limits.SCIM_JSON_DEPTH)
    except NotStrictJson as error:
        raise InvalidSyntaxException(detail=f"The body is {error}") from error
    body = Body(sent)
    steps = path.strip("/").split("/")
    if method == "POST" and steps == ["Bulk"]:
        content: Mapping[str, Any] = _bulk(body)
    else:
        done = _normalised(method, steps, sent)
        body.ignored = done.ignored
        content = done.body
    body.content = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return body


def _normalised(method: str, steps: list[str], sent: Mapping[str, Any]) -> Normalised:
    kind = {"users": "User", "groups": "Group"}.get(steps[0].lower() if steps else "")
    if kind is None or (len(steps) > 1 and steps[1] == ".search"):
        return Normalised(dict(sent))
    known = description.writable(kind)
    if method == "PATCH":
        resource_id = steps[1] if len(steps) > 1 else ""
        return normalise_patch(sent, known, unwritable=description.UNWRITABLE, resource_id=resource_id)
    return normalise_resource(sent, known, unwritable=description.UNWRITABLE)


def _bulk(body: Body) -> dict[str, Any]:
    """Each operation's data normalised; one that is refused is so alone, and the others go on."""
    content = dict(body.sent)
    name = next((one for one in content if one.lower() == "operations"), "Operations")
    operations = content.get(name)
    if not isinstance(operations, list):
        return content
    done: list[Any] = []
    for index, operation in enumerate(operations):
        if not isinstance(operation, Mapping) or not isinstance(operation.get("data"), Mapping):
            done.append(operation)
            continue
        steps = str(operation.get("path") or "").strip("/").split("/")
        try:
            normalised = _normalised(str(operation.get("method") or "").upper(), steps, operation["data"])
        except SCIMException as error:
            body.faults[index] = error
            done.append(operation)
            continue
        body.ignored += normalised.ignored
        done.append({**operation, "data": normalised.body})
    content[name] = done
    return content
