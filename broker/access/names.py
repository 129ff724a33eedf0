"""What comes from outside, as Cedar writes it: names of types, and JSON values.

Two types never get one Cedar name, and no value from outside becomes a reference to an entity or a call of a function.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from broker import limits

OURS = {"user": "User", "client": "Client", "application": "Application", "group": "Group"}
"""AuthZEN's types whose entities are in our directory and registry."""
ESCAPED = "T__"
_PLAIN = re.compile(r"[a-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", re.ASCII)
_TAKEN = frozenset(("true", "false", "if", "then", "else", "in", "is", "like", "has", "when", "unless"))
_TAKEN_BY_EXTENSIONS = frozenset(("decimal", "ip", "ipaddr", "datetime", "duration"))
_RESERVED_KEYS = frozenset(("__entity", "__extn", "__expr"))
_LONG = range(-(2**63), 2**63)
_DECIMAL_PLACES = 4
_DECIMAL_MAX = Decimal("922337203685477.5807")


class Unreadable(Exception):
    """A value from outside cannot be put to the engine; the answer is no."""


def cedar_type(authzen_type: str) -> str:
    """The Cedar name of a type: `record` is `record`, `user` is `User`, `urn:x` is `T__urn_3a_x`.

    Injective: a plain name begins in lower case and holds neither `__` nor a reserved word, ours are capitalised,
    and everything else is spelled out behind `T__`.
    """
    if authzen_type in OURS:
        return OURS[authzen_type]
    if _PLAIN.fullmatch(authzen_type) and authzen_type not in _TAKEN | _TAKEN_BY_EXTENSIONS:
        return authzen_type
    letters = (one if one.isascii() and one.isalnum() else f"_{ord(one):x}_" for one in authzen_type)
    return ESCAPED + "".join(letters)


def authzen_type(cedar_name: str) -> str:
    """The type that `cedar_type` called so."""
    for outside, ours in OURS.items():
        if ours == cedar_name:
            return outside
    if not cedar_name.startswith(ESCAPED):
        return cedar_name
    return re.sub(r"_([0-9a-f]+)_", lambda found: chr(int(found[1], 16)), cedar_name.removeprefix(ESCAPED))


def cedar_record(members: Mapping[str, Any], *, depth: int = limits.ACCESS_VALUE_DEPTH) -> dict[str, Any]:
    """A JSON object as a Cedar record. A member that is null is not there. Raises Unreadable."""
    if depth <= 0:
        raise Unreadable(f"nested deeper than {limits.ACCESS_VALUE_DEPTH}")
    record = {}
    for name, value in members.items():
        if name in _RESERVED_KEYS:
            raise Unreadable(f"a member is called {name}")
        if value is not None:
            record[name] = _value(value, depth - 1)
    return record


def _value(value: Any, depth: int) -> Any:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Mapping):
        return cedar_record(value, depth=depth)
    if isinstance(value, list | tuple):
        if depth <= 0:
            raise Unreadable(f"nested deeper than {limits.ACCESS_VALUE_DEPTH}")
        return [_value(one, depth - 1) for one in value if one is not None]
    if isinstance(value, IPv4Address | IPv6Address):
        return {"__extn": {"fn": "ip", "arg": str(value)}}
    raise Unreadable(f"a value of type {type(value).__name__}")


def _number(value: float) -> Any:
    """A whole number as a Long, however it was written; another as a decimal.

    What neither of the two holds stays a text: a rule that reckons with it fails, and a failing rule means no.
    """
    if isinstance(value, int):
        return value if value in _LONG else hex(value)
    exact = Decimal(repr(value))
    if not exact.is_finite():
        return repr(value)
    if exact == exact.to_integral_value():
        return int(exact) if int(exact) in _LONG else repr(value)
    exact = exact.normalize()
    exponent = exact.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= -_DECIMAL_PLACES and abs(exact) <= _DECIMAL_MAX:
        return {"__extn": {"fn": "decimal", "arg": format(exact, "f")}}
    return repr(value)
