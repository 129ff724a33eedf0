"""A mapping of a configuration file, read key by key, with the line and path of whatever is wrong."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from broker.registry.values import NAME_CHARS, BadValue

Scalar = str | int | float | bool | date | None


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the file, and the line on which it begins (from 1)."""

    line: int
    content: "Scalar | list[Value] | dict[str, Value]"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Why the file cannot be applied: `line` in the file, `path` of the key, and a sentence."""

    line: int
    path: str
    text: str


@dataclass(slots=True)
class Reading:
    """One run over a file: where it lies, what the environment says, and what was found wrong or odd."""

    folder: Path
    environment: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entry:
    """One party as the file describes it. `values`: {dotted key: value}, only what the file names.

    An entry with problems of its own is not `is_sound`: what it lacks may stand there and be unreadable.
    """

    key: str
    line: int
    path: str
    values: dict[str, Any]
    lines: Mapping[str, int]
    is_sound: bool = True

    def line_of(self, name: str) -> int:
        """The line of a key of this entry, or of the nearest one above it."""
        while name and name not in self.lines:
            name = name.rpartition(".")[0]
        return self.lines.get(name, self.line)


class Table:
    """One mapping of the file. Each key is asked for by its type; `close` reports the keys nobody asked for.

    A key that is absent, or whose value is wrong, gives None; what is wrong is noted as a Problem.
    """

    def __init__(self, content: Mapping[str, Value], *, line: int, path: str, reading: Reading) -> None:
        self.content = content
        self.line = line
        self.path = path
        self.reading = reading
        self.lines: dict[str, int] = {name: value.line for name, value in content.items()}
        self._asked: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.content

    def problem(self, name: str, text: str) -> None:
        """Note a problem of the key `name`; of the whole mapping when it is empty."""
        path = ".".join(part for part in (self.path, name) if part)
        self.reading.problems.append(Problem(self.lines.get(name, self.line), path, text))

    def raw(self, name: str) -> Value | None:
        """The value as it stands."""
        self._asked.add(name)
        return self.content.get(name)

    def require(self, *names: str) -> None:
        """Note a problem for each key that is missing."""
        for name in names:
            if name not in self.content:
                self.problem("", f"{name} is missing")

    def text(self, name: str, check: Callable[[str], str] | None = None, *, max_chars: int = NAME_CHARS) -> str | None:
        """A text, as `check` returns it; without one, of at most `max_chars`."""
        value = self.raw(name)
        return None if value is None else self._text(name, value, check, max_chars=max_chars)

    def checked(self, name: str, check: Callable[[str], str]) -> None:
        """Note a problem when the key itself, rather than its value, does not pass `check`."""
        try:
            check(name)
        except BadValue as error:
            self.problem(name, str(error))

    def choice(self, name: str, choices: Iterable[str]) -> str | None:
        """One of `choices`."""
        allowed = [str(choice) for choice in choices]
        text = self.text(name)
        if text is not None and text not in allowed:
            self.problem(name, f"{text!r} is not one of {', '.join(allowed)}")
            return None
        return text

    def flag(self, name: str) -> bool | None:
        """true or false."""
        value = self.raw(name)
        if value is not None and not isinstance(value.content, bool):
            self.problem(name, f"wants true or false, not {_kind(value)}")
            return None
        return value.content if value is not None and isinstance(value.content, bool) else None

    def number(self, name: str, *, low: int, high: int) -> int | None:
        """A whole number from `low` to `high`."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value.content, bool) or not isinstance(value.content, int):
            self.problem(name, f"wants a whole number, not {_kind(value)}")
            return None
        if not low <= value.content <= high:
            self.problem(name, f"{value.content} is not between {low} and {high}")
            return None
        return value.content

    def day(self, name: str) -> date | None:
        """A date, YYYY-MM-DD."""
        value = self.raw(name)
        if value is None:
            return None
        content = value.content
        try:
            return content if type(content) is date else date.fromisoformat(str(content))
        except ValueError:
            self.problem(name, "wants a date as YYYY-MM-DD")
            return None

    def texts(self, name: str, check: Callable[[str], str] | None = None) -> list[str] | None:
        """A list of texts, each as `check` returns it."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value.content, list):
            self.problem(name, f"wants a list of texts, not {_kind(value)}")
            return None
        found = [self._text(f"{name}[{number}]", one, check) for number, one in enumerate(value.content)]
        return [one for one in found if one is not None]

    def plain(self, name: str) -> Any:
        """The value without its lines, of whatever shape."""
        value = self.raw(name)
        return None if value is None else _plain(value)

    def table(self, name: str) -> "Table | None":
        """A mapping; its lines become known here under dotted keys. Close it when it was read."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value.content, dict):
            self.problem(name, f"wants a mapping, not {_kind(value)}")
            return None
        inner = Table(value.content, line=value.line, path=f"{self.path}.{name}", reading=self.reading)
        self.lines |= {f"{name}.{key}": line for key, line in inner.lines.items()}
        return inner

    def entry(self, key: str, values: Mapping[str, Any]) -> Entry:
        """The entry of this mapping; values that are None are not part of it."""
        named = {name: value for name, value in values.items() if value is not None}
        return Entry(key=key, line=self.line, path=self.path, values=named, lines=self.lines)

    def close(self) -> None:
        """Note a problem for each key that has no meaning here."""
        for name in self.content:
            if name not in self._asked:
                near = difflib.get_close_matches(name, self._asked, n=1)
                hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(sorted(self._asked))}"
                self.problem(name, f"unknown key{hint}")

    def _text(
        self, name: str, value: Value, check: Callable[[str], str] | None, *, max_chars: int = NAME_CHARS
    ) -> str | None:
        path = f"{self.path}.{name}"
        if not isinstance(value.content, str):
            quoted = "" if isinstance(value.content, list | dict) else "; put it into quotes if it is meant as text"
            text = f"wants a text, not {_kind(value)}{quoted}"
        elif not value.content.strip():
            text = "is empty"
        elif "\x00" in value.content:
            text = "holds a NUL character"
        elif check is None and len(value.content) > max_chars:
            text = f"has more than {max_chars} characters"
        else:
            try:
                return check(value.content) if check else value.content
            except BadValue as error:
                text = str(error)
        self.reading.problems.append(Problem(value.line, path, text))
        return None


def _plain(value: Value) -> Any:
    if isinstance(value.content, dict):
        return {name: _plain(one) for name, one in value.content.items()}
    if isinstance(value.content, list):
        return [_plain(one) for one in value.content]
    return value.content


def _kind(value: Value) -> str:
    content = value.content
    if content is None:
        return "nothing"
    if isinstance(content, bool):
        return "true" if content else "false"
    if isinstance(content, list):
        return "a list"
    if isinstance(content, dict):
        return "a mapping"
    return f"the {'text' if isinstance(content, str) else 'date' if isinstance(content, date) else 'number'} {content}"
