"""What the large identity providers write differently, brought into SCIM's own form before the core reads it.

What is harmless is accepted of everybody; what changes a meaning only of a source of that dialect (which is why the
other half of a dialect is the policy that `provisioning.inbound.description` gives the core).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scim2_models import InvalidSyntaxException, MutabilityException

from provisioning.scim.mapping import ENTERPRISE_SCHEMA

MANAGER_PATH = f"{ENTERPRISE_SCHEMA}:manager".lower()
OWN_URN = "urn:ietf:params:scim:"
_NOT_FOR_PATCH = frozenset({"id", "schemas", "meta"})
"""What some repeat in the value of a PATCH. They say nothing new."""
_FOREIGN = ("urn:", "http://", "https://")


@dataclass(slots=True)
class Normalised:
    """A body in SCIM's own form, and the names of what was left out of it because nobody here knows them."""

    body: dict[str, Any]
    ignored: list[str] = field(default_factory=list)


def normalise_resource(raw: Mapping[str, Any], known: Mapping[str, Any], *, unwritable: frozenset[str]) -> Normalised:
    """A POST's or PUT's body. `known` is {attribute in lower case: its sub-attributes}.

    Raises MutabilityException for an attribute that nobody may write, InvalidSyntaxException for one that stands twice.
    """
    done = Normalised({})
    seen: set[str] = set()
    for name, value in raw.items():
        lower = name.lower()
        if lower in seen:
            raise InvalidSyntaxException(detail=f"{name} stands twice")
        seen.add(lower)
        if _is_foreign(lower, known):
            done.ignored.append(name)
            continue
        _check_writable(name, value, known, unwritable)
        if lower == "schemas" and isinstance(value, list):
            foreign = [one for one in value if isinstance(one, str) and _is_foreign_schema(one)]
            done.ignored += foreign
            done.body[name] = [one for one in value if one not in foreign]
        elif lower == ENTERPRISE_SCHEMA.lower() and isinstance(value, Mapping):
            done.body[name] = _with_manager(value)
        elif lower == "members":
            done.body[name] = without_display(value)
        else:
            done.body[name] = without_null_references(value)
    done.ignored = list(dict.fromkeys(done.ignored))
    return done


def normalise_patch(
    raw: Mapping[str, Any], known: Mapping[str, Any], *, unwritable: frozenset[str], resource_id: str = ""
) -> Normalised:
    """A PATCH's body: each operation with a path of ours, or with a value that names attributes of ours.

    Raises MutabilityException.
    """
    done = Normalised(dict(raw))
    name = next((one for one in raw if one.lower() == "operations"), "Operations")
    operations = raw.get(name)
    if not isinstance(operations, list):
        return done
    kept: list[Any] = []
    for operation in operations:
        if not isinstance(operation, Mapping):
            kept.append(operation)
            continue
        folded = _folded(operation)
        path = folded.get("path")
        if isinstance(path, str) and path:
            kept += _with_path(folded, path, unwritable, done.ignored)
        elif isinstance(folded.get("value"), Mapping):
            folded.pop("path", None)
            kept += _without_path(folded, known, unwritable, done.ignored, resource_id)
        else:
            if path == "":
                folded.pop("path")
            kept.append(folded)
    done.body[name] = kept
    done.ignored = list(dict.fromkeys(done.ignored))
    return done


def without_null_references(value: Any) -> Any:
    """The value without `$ref: null`, which stands for no reference at all."""
    if isinstance(value, list):
        return [without_null_references(one) for one in value]
    if isinstance(value, Mapping):
        return {
            name: without_null_references(one)
            for name, one in value.items()
            if not (name.lower() == "$ref" and one is None)
        }
    return value


def without_display(members: Any) -> Any:
    """Members without what they are called, which some repeat and nobody keeps (RFC 7643 section 4.2)."""
    plain = without_null_references(members)
    if isinstance(plain, Mapping):
        return {name: one for name, one in plain.items() if name.lower() != "display"}
    return (
        [without_display(one) if isinstance(one, Mapping) else one for one in plain]
        if isinstance(plain, list)
        else plain
    )


def _folded(operation: Mapping[str, Any]) -> dict[str, Any]:
    """The operation with op, path and value in lower case."""
    return {name.lower() if name.lower() in {"op", "path", "value"} else name: one for name, one in operation.items()}


def _with_path(
    operation: dict[str, Any], path: str, unwritable: frozenset[str], ignored: list[str]
) -> list[dict[str, Any]]:
    lower = path.lower()
    if lower.startswith(_FOREIGN) and not lower.startswith(OWN_URN):
        ignored.append(path)
        return []
    head = _head(path)
    if head.lower() in {one.lower() for one in unwritable}:
        raise MutabilityException(detail=f"{head} cannot be written here", attribute=head)
    if "value" in operation:
        value = without_null_references(operation["value"])
        if lower == MANAGER_PATH:
            return [_manager_operation(operation, value)]
        if lower == ENTERPRISE_SCHEMA.lower() and isinstance(value, Mapping):
            value = _with_manager(value)
        operation["value"] = without_display(value) if head.lower() == "members" else value
    return [operation]


def _without_path(
    operation: dict[str, Any],
    known: Mapping[str, Any],
    unwritable: frozenset[str],
    ignored: list[str],
    resource_id: str,
) -> list[dict[str, Any]]:
    """One operation for what names attributes, and one of its own for each name that is a path with a choice in it."""
    plain: dict[str, Any] = {}
    chosen: list[dict[str, Any]] = []
    for name, value in operation["value"].items():
        lower = name.lower()
        if lower in _NOT_FOR_PATCH and not (lower == "id" and resource_id and value != resource_id):
            continue
        if _is_foreign(lower, known):
            ignored.append(name)
            continue
        head = _head(name)
        if "[" in name:
            _check_writable(head, None, known, unwritable)
            chosen += _with_path({**operation, "path": name, "value": value}, name, unwritable, ignored)
        elif lower == MANAGER_PATH:
            chosen.append(_manager_operation({**operation, "path": name}, value))
        else:
            _check_writable(head if "." in name and not lower.startswith(OWN_URN) else name, value, known, unwritable)
            if lower == ENTERPRISE_SCHEMA.lower() and isinstance(value, Mapping):
                value = _with_manager(value)
            plain[name] = without_display(value) if lower == "members" else without_null_references(value)
    if plain or not (chosen or ignored or operation["value"]):
        return [{**operation, "value": plain}, *chosen]
    return chosen


def _manager_operation(operation: dict[str, Any], value: Any) -> dict[str, Any]:
    """The manager by id alone, and nobody where the id is empty."""
    manager = _manager(value)
    if manager is None and str(operation.get("op", "")).lower() != "remove":
        return {"op": "remove", "path": operation["path"]}
    if manager is None:
        return {"op": operation.get("op"), "path": operation["path"]}
    return {**operation, "value": manager}


def _with_manager(extension: Mapping[str, Any]) -> dict[str, Any]:
    done = {}
    for name, value in extension.items():
        if name.lower() == "manager":
            manager = _manager(without_null_references(value))
            if manager is not None:
                done[name] = manager
        else:
            done[name] = value
    return done


def _manager(value: Any) -> Any:
    """{"value": id} of an id, of a list of one, or of what is that already; None where nobody is named."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value in ("", None):
        return None
    if isinstance(value, str):
        return {"value": value}
    if isinstance(value, Mapping):
        named = next((one for name, one in value.items() if name.lower() == "value"), None)
        return None if named in ("", None) else without_null_references(value)
    return value


def _head(path: str) -> str:
    """The attribute that a path begins with, without the core schema's URN."""
    lower = path.lower()
    if lower.startswith(OWN_URN):
        schema, _, rest = path.rpartition(":")
        # A choice may hold colons of its own.
        if "[" in schema:
            cut = path.index("[")
            schema, _, rest = path[:cut].rpartition(":")
        return rest.partition("[")[0].partition(".")[0]
    return path.partition("[")[0].partition(".")[0]


def _is_foreign(lower: str, known: Mapping[str, Any]) -> bool:
    """Whether it is the URN of a schema that nobody here knows."""
    return lower.startswith(_FOREIGN) and lower not in known and not lower.startswith(OWN_URN)


def _is_foreign_schema(text: str) -> bool:
    return not text.lower().startswith(OWN_URN)


def _check_writable(name: str, value: Any, known: Mapping[str, Any], unwritable: frozenset[str]) -> None:
    """Raise MutabilityException unless it is an attribute that may be written, or read-only and so without effect."""
    lower = name.lower()
    if lower.startswith(OWN_URN) and lower not in known:
        return  # a path with its schema; the core resolves it
    if lower in {one.lower() for one in unwritable} or lower not in known:
        raise MutabilityException(detail=f"{name[:100]} cannot be written here", attribute=name[:100])
    inner = known[lower]
    if not inner:
        return
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, Mapping):
            for part in entry:
                if part.lower() not in inner:
                    raise MutabilityException(
                        detail=f"{name[:100]}.{part[:100]} cannot be written here", attribute=f"{name}.{part}"[:200]
                    )
