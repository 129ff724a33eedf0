"""The text of policies, cut into statements that are small enough for the engine.

The engine works through nested expressions on its stack, and a text of a few kilobytes of brackets would end the
process. So its depth is bounded here, before any of it is parsed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from broker import limits
from broker.registry.values import BadValue

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      | (?P<text>"(?:[^"\\]|\\.)*"?)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<mark>::|&&|\|\||[<>=!]=|.)""",
    re.VERBOSE | re.DOTALL,
)
_CHAINING = frozenset(
    "if then else in is like has when unless && || == != <= >= < > ! - + * .".split(" ")  # noqa: SIM905 - marks read better so
)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """What is wrong with a text, and on which line of it (from 1)."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class BadPolicy(BadValue):
    """A policy or a schema that is not taken. `faults` are all that were found, by line."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        super().__init__("; ".join(str(fault) for fault in self.faults))


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a text, to its semicolon, and the line on which it begins."""

    line: int
    text: str


def split_statements(source: str) -> tuple[Statement, ...]:
    """The statements of a text, without the comments between them. Raises BadPolicy when one is too large or deep."""
    if len(source.encode("utf-8", "replace")) > limits.POLICY_BYTES:
        raise BadPolicy([Fault(1, f"the text has more than {limits.POLICY_BYTES} bytes")])
    if "\x00" in source:
        raise BadPolicy([Fault(1 + source[: source.index("\x00")].count("\n"), "a NUL character")])
    statements: list[Statement] = []
    faults: list[Fault] = []
    line, begins_at, begins_on, depth, deepest, chained, previous = 1, -1, 1, 0, 0, 0, ""
    for token in _TOKEN.finditer(source):
        text = token[0]
        if token["space"] is None:
            if begins_at < 0:
                begins_at, begins_on, depth, deepest, chained = token.start(), line, 0, 0, 0
            if token["mark"]:
                depth += (text in "([{") - (text in ")]}")
                deepest = max(deepest, depth)
            # A bracket behind a value looks a member up in it; behind a comma it opens a list. A path goes on with a
            # word, and ends with a text.
            chained += text in _CHAINING or (text == "[" and previous not in ("", ",", "[", "(", ":"))
            chained += previous == "::" and bool(token["word"])
            if text == ";" and depth <= 0:
                statements.append(Statement(begins_on, source[begins_at : token.end()]))
                faults += _too_large(begins_on, deepest, chained)
                begins_at = -1
            previous = text
        line += text.count("\n")
    if begins_at >= 0:
        statements.append(Statement(begins_on, source[begins_at:].rstrip()))
        faults += _too_large(begins_on, deepest, chained)
    if faults:
        raise BadPolicy(faults)
    return tuple(statements)


def line_of(statement: Statement, message: str) -> int:
    """The line of what the engine's message puts in backticks, else the first of the statement."""
    for named in re.findall(r"`([^`]+)`", message):
        for part in re.findall(r"[\w.-]+", named)[::-1]:
            found = re.search(rf"(?<!\w){re.escape(part)}(?!\w)", statement.text)
            if found:
                return statement.line + statement.text[: found.start()].count("\n")
    return statement.line


def _too_large(line: int, deepest: int, chained: int) -> list[Fault]:
    faults = []
    if deepest > limits.POLICY_DEPTH:
        faults.append(Fault(line, f"brackets are nested deeper than {limits.POLICY_DEPTH}"))
    if chained > limits.POLICY_OPERATORS:
        faults.append(Fault(line, f"one statement has more than {limits.POLICY_OPERATORS} operators; split it"))
    return faults
