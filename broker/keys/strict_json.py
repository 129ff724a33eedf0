"""Reading JSON that came from outside, where a lenient parser would let two readers see two different things."""

import json
import math
import re
from typing import Any

from broker import limits

INTEGER_DIGITS_MAX = 20
# A string that never ends is taken up to the end: were it no match, the search would begin anew at each quote.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+\\?(?:"|\Z)', re.DOTALL)


class NotStrictJson(ValueError):
    """The bytes are not one JSON object of the plain kind; the message says why, without any value."""


def read_object(raw: bytes, *, depth: int = limits.JWT_JSON_DEPTH) -> dict[str, Any]:
    """One JSON object in UTF-8 (RFC 8259).

    Refused, beyond what the grammar refuses: a member named twice, NaN and Infinity, a number that overflows, nesting
    deeper than `depth`, and strings that no database or encoder takes (NUL, half a surrogate pair).
    Raises NotStrictJson.
    """
    try:
        text = raw.decode("utf-8")
        _check_depth(text, depth)
        value = json.loads(
            text,
            object_pairs_hook=_object_without_twins,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_short_integer,
        )
        if "\\u" in text:
            _check_text(value)
    except NotStrictJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotStrictJson("not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise NotStrictJson("not a JSON object")
    return value


def _check_depth(text: str, deepest: int) -> None:
    depth = 0
    for mark in _STRING.sub("", text):
        if mark in "{[":
            depth += 1
            if depth > deepest:
                raise NotStrictJson(f"nested deeper than {deepest}")
        elif mark in "}]":
            depth -= 1


def _object_without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrictJson("a member stands twice")
    return found


def _refuse_constant(name: str) -> None:
    raise NotStrictJson(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NotStrictJson("a number overflows")
    return value


def _short_integer(text: str) -> int:
    if len(text) > INTEGER_DIGITS_MAX:
        raise NotStrictJson("an integer is too long")
    return int(text)


def _check_text(value: Any) -> None:
    """Only an escape can bring NUL or half a surrogate pair past the UTF-8 decoder and the grammar."""
    written = json.dumps(value, ensure_ascii=False)
    try:
        written.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotStrictJson("half a surrogate pair") from error
    if "\\u0000" in written:
        raise NotStrictJson("a NUL character")
