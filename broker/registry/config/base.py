"""What the sections of a configuration file share: values with their lines, problems, entries and the protocols."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from broker.actors import Actor
from broker.registry.values import BadValue

Scalar = str | int | float | bool | date | None
Changes = dict[str, tuple[Any, Any]]
"""{dotted key: (before, after)}"""


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


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that the file names by its place. It never shows in a plan."""

    value: str = field(repr=False)


@dataclass(slots=True)
class Reading:
    """One run over a file: where it lies, what the environment says, and what was found wrong or odd."""

    folder: Path
    environment: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entry:
    """One party as the file describes it. `values`: {dotted key: value}, only what the file names."""

    key: str
    line: int
    path: str
    values: dict[str, Any]
    lines: Mapping[str, int]

    def line_of(self, name: str) -> int:
        """The line of a key of this entry, or of the nearest one above it."""
        while name and name not in self.lines:
            name = name.rpartition(".")[0]
        return self.lines.get(name, self.line)


@dataclass(slots=True)
class Written:
    """What became of an entry: the party's row, secrets that were issued ({client_id: secret}), and remarks."""

    party: Any
    secrets: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


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
        path = f"{self.path}.{name}" if name else self.path
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

    def text(self, name: str, check: Callable[[str], str] = str, *, may_be_empty: bool = False) -> str | None:
        """A text, as `check` returns it."""
        value = self.raw(name)
        if value is None:
            return None
        return self._text(name, value, check, may_be_empty=may_be_empty)

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

    def texts(self, name: str, check: Callable[[str], str] = str) -> list[str] | None:
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

    def _text(self, name: str, value: Value, check: Callable[[str], str], *, may_be_empty: bool = False) -> str | None:
        path = f"{self.path}.{name}"
        if not isinstance(value.content, str):
            quoted = "" if isinstance(value.content, list | dict) else "; put it into quotes if it is meant as text"
            text = f"wants a text, not {_kind(value)}{quoted}"
        elif "\x00" in value.content or (not value.content.strip() and not may_be_empty):
            text = "is empty"
        else:
            try:
                return check(value.content)
            except BadValue as error:
                text = str(error)
        self.reading.problems.append(Problem(value.line, path, text))
        return None


class Section:
    """One list of the file. Subclasses say what its keys mean; values are {dotted key: value} throughout."""

    name: str
    kind: str
    """What a party of it is called where another one names it."""
    key: str
    """The key that names a party."""
    after: tuple[str, ...] = ()
    """Sections whose parties this one names: they are written first, and retired last."""
    fixed: tuple[str, ...] = ()
    """Keys that cannot change once the party exists."""
    faces: tuple[str, ...] = ()
    """Keys whose mappings are parties of their own, so that pruning retires one that the file does not name."""
    lists: tuple[str, ...] = ()
    """Keys whose items belong to one party at a time."""

    def identify(self, table: Table) -> str | None:
        """The key of the entry."""
        raise NotImplementedError

    def read(self, table: Table, key: str) -> Entry:
        """The entry, every key of it asked for. Does not close the table: hooks of other rooms still read."""
        raise NotImplementedError

    def present(self) -> dict[str, dict[str, Any]]:
        """The registered parties: {key: values}, in the form of an entry's values with every key."""
        raise NotImplementedError

    def names(self, key: str, values: Mapping[str, Any]) -> set[tuple[str, str]]:
        """What this party holds alone, as (kind, name)."""
        held = {(self.kind, key)} if self.kind else set()
        return held | {(name, item) for name in self.lists for item in values.get(name) or ()}

    def references(self, values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """What must exist, as (dotted key, kind, name)."""
        del values
        return []

    def faults(self, values: Mapping[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
        """What is wrong with a party that ends up with `values`: (dotted key or "", sentence)."""
        del values, is_new
        return []

    def compare(self, key: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> Changes:
        """What would change. Keys that are not in `values` are only shown."""
        del key
        return {
            name: (before.get(name), value)
            for name, value in values.items()
            if before.get(name, "") != value  # empty and not there yet are the same
        }

    def create(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """Register the party. Raises BadValue."""
        raise NotImplementedError

    def change(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """Change what `values` names. Raises BadValue."""
        raise NotImplementedError

    def retire(self, key: str, *, actor: Actor) -> None:
        """Retire the party. Raises BadValue."""
        raise NotImplementedError

    def drop_face(self, key: str, face: str, *, actor: Actor) -> None:
        """Retire one face of the party."""
        raise NotImplementedError

    def exported(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values as an export writes them: under keys that `read` knows."""
        return values

    def withheld(self, key: str, values: Mapping[str, Any]) -> list[str]:
        """What an export does not show of the party, a sentence each."""
        del key, values
        return []


class KeyHook(Protocol):
    """A key under a section that belongs to another room (settings.CONFIG_KEYS)."""

    def read(self, table: Table, name: str) -> Any:
        """The key's value, None when it is absent."""
        ...

    def present(self) -> dict[str, Any]:
        """{key of the party: value}"""
        ...

    def write(self, party: Any, value: Any, *, actor: Actor) -> None:
        """Make it so. Raises BadValue."""
        ...


def dotted(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with `name.` before each key."""
    return {f"{name}.{key}": value for key, value in values.items()}


def under(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `values` that stands under `name`, without that prefix."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}


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
