"""What is told of a person at a target, and the same read back: only what the mapping names, in one form.

A mapping is {SCIM path: attribute}; `a|b` takes the first attribute that has a value. A document is the part of a User
that a mapping writes, without externalId, active and schemas. Equal documents have equal digests.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from broker.registry.values import BadValue
from provisioning.scim.mapping import CORE_PATHS, ENTERPRISE_PATHS, ENTERPRISE_SCHEMA, PLURAL_PATHS

Document = dict[str, Any]
Values = Mapping[str, tuple[str, ...]]

MANAGER = "manager.value"
TEXT_PATHS = frozenset({*CORE_PATHS.values(), "name.formatted"})
EXTENSION_PATHS = frozenset(ENTERPRISE_PATHS.values())
PLURALS = frozenset(PLURAL_PATHS.values())
PATHS = TEXT_PATHS | EXTENSION_PATHS | PLURALS
"""Everything of a User that a mapping may write."""
DEFAULT = {
    "userName": "user_name|email",
    "displayName": "name",
    "name.givenName": "given_name",
    "name.familyName": "family_name",
    "emails": "email",
}
"""What every application needs of an account, and nothing more."""


def check_mapping(mapping: object) -> dict[str, str]:
    """The mapping in its one form. Raises BadValue."""
    if not isinstance(mapping, Mapping):
        raise BadValue("a mapping is {SCIM path: attribute}")
    found: dict[str, str] = {}
    for path, rule in mapping.items():
        if path not in PATHS:
            raise BadValue(f"{path!r} is not one of {', '.join(sorted(PATHS))}")
        if not isinstance(rule, str) or not all(name.strip() for name in rule.split("|")):
            raise BadValue(f"{path}: wants an attribute, or several with | between them")
        found[path] = "|".join(name.strip() for name in rule.split("|"))
    if found and "userName" not in found:
        raise BadValue("userName is missing: no account can be made without one (RFC 7643 section 4.1.1)")
    return dict(sorted(found.items()))


def attributes_of(mapping: Mapping[str, str]) -> frozenset[str]:
    """The attributes that a mapping reads."""
    return frozenset(name for rule in mapping.values() for name in rule.split("|"))


def write_document(mapping: Mapping[str, str], values: Values) -> Document:
    """What the target shall be told. `values`: {attribute: values}."""
    found: Document = {}
    for path, rule in mapping.items():
        held = next((values[name] for name in rule.split("|") if values.get(name)), ())
        if not held:
            continue
        if path in PLURALS:
            found[path] = _entries(held)
        else:
            _put(found, path, held[0])
    return found


def project(mapping: Mapping[str, str], resource: Mapping[str, Any]) -> Document:
    """The part of a User as a target shows it that the mapping writes, in the form of `write_document`."""
    found: Document = {}
    for path in mapping:
        if path in PLURALS:
            held = _values_of(resource.get(path))
            if held:
                found[path] = _entries(held)
        elif (value := _get(resource, path)) not in (None, ""):
            _put(found, path, str(value))
    return found


def digest(document: Document) -> str:
    """SHA-256 in hex of the document's canonical JSON."""
    return digest_of_text(canonical(document))


def canonical(document: Document) -> str:
    """The one text of a document."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of_text(text: str) -> str:
    """The digest of a document whose canonical text this is."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """{SCIM path: value} of a document."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        if name == ENTERPRISE_SCHEMA:
            found |= {f"{ENTERPRISE_SCHEMA}:{path}": inner for path, inner in _steps(value)}
        elif isinstance(value, Mapping):
            found |= {f"{name}.{path}": inner for path, inner in _steps(value)}
        else:
            found[name] = value
    return found


def differences(ours: Document, theirs: Document) -> dict[str, list[Any]]:
    """{SCIM path: [ours, theirs]} of what differs; None where there is none."""
    here, there = flat(ours), flat(theirs)
    return {
        path: [here.get(path), there.get(path)]
        for path in sorted(here.keys() | there.keys())
        if here.get(path) != there.get(path)
    }


def _steps(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found = []
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            found += [(f"{name}.{sub}", leaf) for sub, leaf in inner.items()]
        else:
            found.append((name, inner))
    return found


def _put(document: Document, path: str, value: str) -> None:
    place = document
    if path in EXTENSION_PATHS:
        place = document.setdefault(ENTERPRISE_SCHEMA, {})
    head, _, tail = path.partition(".")
    if tail:
        place.setdefault(head, {})[tail] = value
    else:
        place[head] = value


def _get(resource: Mapping[str, Any], path: str) -> Any:
    place: Any = resource.get(ENTERPRISE_SCHEMA) if path in EXTENSION_PATHS else resource
    for step in path.split("."):
        if not isinstance(place, Mapping):
            # Some targets write the manager as plain text.
            return place if step == "value" and isinstance(place, str) else None
        place = place.get(step)
    return place if isinstance(place, str | int | float) and not isinstance(place, bool) else None


def _entries(held: Sequence[str]) -> list[dict[str, Any]]:
    """The first value is the primary one, and that for work (RFC 7643 section 2.4)."""
    return [
        {"value": value, "type": "work" if number == 0 else "other", "primary": number == 0}
        for number, value in enumerate(dict.fromkeys(held))
    ]


def _values_of(entries: Any) -> list[str]:
    """Values as a target shows them, the primary one first; plain texts are taken too."""
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        return []
    ranked = []
    for number, entry in enumerate(entries):
        if isinstance(entry, str):
            ranked.append((1, number, entry))
        elif isinstance(entry, Mapping) and isinstance(entry.get("value"), str) and entry["value"]:
            ranked.append((0 if entry.get("primary") is True else 1, number, entry["value"]))
    return [value for _, _, value in sorted(ranked)]
