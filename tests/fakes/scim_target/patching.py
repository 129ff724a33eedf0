"""PATCH (RFC 7644 section 3.5.2) on plain dicts, in as far as a well-behaved client asks for it."""

import json
import re
from collections.abc import Callable
from typing import Any

from tests.fakes.scim_target.wire import Refused

Document = dict[str, Any]
_PATH = re.compile(
    r"^(?:(?P<urn>urn:[\w.:-]+?):)?(?P<name>[$\w-]+)(?:\[(?P<filter>[^\]]+)\])?(?:\.(?P<sub>[$\w-]+))?$", re.IGNORECASE
)
_TERM = re.compile(
    r'^\s*([\w.$:-]+)\s+(eq|ne|co|sw|ew|pr|gt|ge|lt|le)(?:\s+("(?:[^"\\]|\\.)*"|\S+))?\s*$', re.IGNORECASE
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda have, want: have == want,
    "ne": lambda have, want: have != want,
    "co": lambda have, want: want in have,
    "sw": lambda have, want: have.startswith(want),
    "ew": lambda have, want: have.endswith(want),
    "gt": lambda have, want: have > want,
    "ge": lambda have, want: have >= want,
    "lt": lambda have, want: have < want,
    "le": lambda have, want: have <= want,
}
CORE = ("urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:core:2.0:Group")


def terms_of(text: str, *, kind: str = "invalidFilter") -> list[tuple[str, str, Any]]:
    """`a eq "b" and c pr` as [(attribute, operator, value)]. Raises Refused for every other form."""
    terms = []
    for part in re.split(r'\s+and\s+(?=(?:[^"]|"[^"]*")*$)', text, flags=re.IGNORECASE):
        found = _TERM.match(part)
        if not found or (found[3] is None) != (found[2].lower() == "pr"):
            raise Refused(400, f"not understood: {part}", kind)
        try:
            terms.append((found[1], found[2].lower(), None if found[3] is None else json.loads(found[3])))
        except ValueError:
            raise Refused(400, f"not a value: {found[3]}", kind) from None
    return terms


def fits(document: Document, terms: list[tuple[str, str, Any]]) -> bool:
    return all(_fits(values_at(document, attribute), operator, value) for attribute, operator, value in terms)


def values_at(document: Document, attribute: str) -> list[Any]:
    """The values of `name`, `name.sub` or `urn:…:name`; a list attribute gives its elements' (`value` without sub)."""
    found = _PATH.match(attribute)
    if not found:
        raise Refused(400, f"no such attribute: {attribute}", "invalidFilter")
    holder = _holder(document, found["urn"])
    held = holder.get(_key(holder, found["name"]))
    values = held if isinstance(held, list) else [] if held is None else [held]
    sub = found["sub"] or "value"
    return [
        value.get(_key(value, sub)) if isinstance(value, dict) else value
        for value in values
        if not isinstance(value, dict) or _key(value, sub) in value
    ]


def apply(document: Document, operations: list[Document]) -> None:
    """Change `document` in place. Raises Refused, and may then have changed some: work on a copy."""
    for operation in operations:
        verb = str(operation.get("op", "")).lower()
        path, value = operation.get("path"), operation.get("value")
        if verb not in ("add", "replace", "remove"):
            raise Refused(400, f"no such op: {verb}", "invalidSyntax")
        if path is None:
            if verb == "remove" or not isinstance(value, dict):
                raise Refused(400, "an operation without a path has an object", "noTarget")
            _merge(document, value, verb)
            continue
        found = _PATH.match(path)
        if path.lower().startswith("urn:") and path in document.get("schemas", ()):
            _merge(document, {path: value}, verb) if verb != "remove" else document.pop(path, None)
        elif not found:
            raise Refused(400, f"not a path: {path}", "invalidPath")
        else:
            holder = _holder(document, found["urn"], make=verb != "remove")
            _at(holder, found["name"], found["filter"], found["sub"], verb, value)


def _merge(document: Document, values: Document, verb: str) -> None:
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(document.get(name, {}), dict):
            inner = document.setdefault(name, {})
            for sub, part in value.items():
                _at(inner, sub, None, None, verb, part)
        else:
            _at(document, name, None, None, verb, value)


def _at(holder: Document, name: str, condition: str | None, sub: str | None, verb: str, value: Any) -> None:
    key = _key(holder, name)
    if condition is not None:
        _at_elements(holder, key, terms_of(condition, kind="invalidPath"), sub, verb, value)
    elif sub is not None:
        inner = holder.setdefault(key, {})
        if not isinstance(inner, dict):
            raise Refused(400, f"{name} has several values", "invalidPath")
        inner.pop(sub, None) if verb == "remove" else inner.update({sub: value})
    elif verb == "remove":
        _remove(holder, key, value)
    elif verb == "add" and isinstance(holder.get(key), list):
        added = value if isinstance(value, list) else [value]
        had = {json.dumps(element, sort_keys=True) for element in holder[key]}
        holder[key] = [*holder[key], *(one for one in added if json.dumps(one, sort_keys=True) not in had)]
    elif value is None:
        holder.pop(key, None)
    else:
        holder[key] = value


def _at_elements(
    holder: Document, key: str, terms: list[tuple[str, str, Any]], sub: str | None, verb: str, value: Any
) -> None:
    elements = holder.get(key, [])
    chosen = [element for element in elements if fits(element, terms)]
    if not chosen and verb == "remove":
        return
    if not chosen and verb == "replace":
        raise Refused(400, f"no {key} fits", "noTarget")
    if not chosen:
        chosen = [{attribute: wanted for attribute, _, wanted in terms}]
        holder[key] = [*elements, *chosen]
    if verb == "remove" and sub is None:
        holder[key] = [element for element in elements if element not in chosen]
        return
    for element in chosen:
        if sub is None:
            element.update(value)
        elif verb == "remove":
            element.pop(sub, None)
        else:
            element[sub] = value


def _remove(holder: Document, key: str, value: Any) -> None:
    if not isinstance(value, list):
        holder.pop(key, None)
        return
    gone = {element.get("value") if isinstance(element, dict) else element for element in value}
    holder[key] = [element for element in holder.get(key, []) if element.get("value") not in gone]


def _holder(document: Document, urn: str | None, *, make: bool = False) -> Document:
    if urn is None or urn in CORE:
        return document
    inner: Document = document.setdefault(urn, {}) if make else document.get(urn, {})
    return inner


def _key(holder: Document, name: str) -> str:
    """The attribute as it is spelt there: names know no case."""
    if name in holder:
        return name
    folded = name.casefold()
    return next((key for key in holder if key.casefold() == folded), name)


def _fits(have: list[Any], operator: str, want: Any) -> bool:
    if operator == "pr":
        return bool(have)
    if isinstance(want, str):
        want = want.casefold()
        have = [one.casefold() for one in have if isinstance(one, str)]
    if operator == "ne":
        return want not in have
    try:
        return any(_COMPARE[operator](one, want) for one in have)
    except (TypeError, AttributeError):
        return False
