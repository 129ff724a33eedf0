"""The OpenAPI document as people read it: operations in groups, their members in tables, and examples of answers."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

FORMATS = {
    "date-time": "2030-01-31T09:00:00Z",
    "date": "2030-12-31",
    "email": "integration@acme.example",
    "uri": "https://erp.acme.example",
    "uuid": "0190a2b4-7c11-7c3e-9d5b-2f6d1c0a9e44",
}


@dataclass(frozen=True, slots=True)
class Member:
    """A parameter, or a member of a body."""

    name: str
    place: str
    """query, header, path or body."""
    kind: str
    is_required: bool
    text: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `answer` is an example of its success, as JSON."""

    name: str
    method: str
    path: str
    summary: str
    description: str
    scope: str
    is_deprecated: bool
    members: tuple[Member, ...]
    status: str
    answer: str
    problems: tuple[str, ...]


def read_operations(document: Mapping[str, Any]) -> list[tuple[str, list[Operation]]]:
    """The operations by their tag, in the document's order."""
    schemas = document["components"]["schemas"]
    found = [
        (operation["tags"][0], _operation(method.upper(), path, operation, schemas))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    found.sort(key=lambda pair: pair[0])
    return [(tag, [operation for _, operation in pairs]) for tag, pairs in groupby(found, key=lambda pair: pair[0])]


def _operation(method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Operation:
    status = next(status for status in operation["responses"] if status.startswith("2"))
    content = operation["responses"][status].get("content", {}).get("application/json")
    (scheme,) = operation["security"]
    return Operation(
        name=operation["operationId"],
        method=method,
        path=path,
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        scope=" ".join(scope for scopes in scheme.values() for scope in scopes),
        is_deprecated=operation.get("deprecated", False),
        members=tuple(_members(operation, schemas)),
        status=status,
        answer=json.dumps(example_of(content["schema"], schemas), indent=2) if content else "",
        problems=tuple(sorted(status for status in operation["responses"] if not status.startswith("2"))),
    )


def _members(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[Member]:
    for parameter in operation.get("parameters", ()):
        text = parameter.get("description", "")
        kind = _kind(parameter["schema"], schemas)
        yield Member(parameter["name"], parameter["in"], kind, parameter.get("required", False), text)
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        schema = _resolved(body["schema"], schemas)
        for name, part in schema.get("properties", {}).items():
            text = _resolved(part, schemas).get("description", "") if "enum" not in part else ""
            yield Member(name, "body", _kind(part, schemas), name in schema.get("required", ()), text)


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value that the schema allows."""
    schema = _resolved(schema, schemas)
    if "enum" in schema:
        return schema["enum"][0]
    match _type(schema):
        case "object":
            return {name: example_of(part, schemas) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [example_of(schema["items"], schemas)]
        case "integer":
            return 1
        case "boolean":
            return True
    return FORMATS.get(schema.get("format", ""), "text")


def _kind(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    schema = _resolved(schema, schemas)
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if _type(schema) == "array":
        return f"list of {_kind(schema['items'], schemas)}"
    return str(schema.get("format") or _type(schema))


def _type(schema: Mapping[str, Any]) -> str:
    """The type; of `[type, null]` the type."""
    named = schema.get("type", "string")
    return str(named[0] if isinstance(named, list) else named)


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without references and the wrappings that stand around them."""
    for wrapping in ("allOf", "oneOf", "anyOf"):
        if wrapping in schema:
            return _resolved(schema[wrapping][0], schemas)
    if "$ref" in schema:
        return _resolved(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    return schema
