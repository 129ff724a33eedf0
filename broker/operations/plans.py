"""What is read from a configuration file, what would change, and what was done: the values."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from broker.registry.config.base import Changes
from broker.registry.config.table import Entry, Problem


class Action(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True)
class Difference:
    """One party that the file wants otherwise than it is."""

    action: Action
    section: str
    key: str
    line: int
    changes: Changes = field(default_factory=dict)
    dropped_faces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Configuration:
    """A file as it was read: its entries by section, and the remarks made on the way."""

    path: Path
    digest: str
    """SHA-256 of the file, in hex."""
    entries: dict[str, dict[str, Entry]]
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]
    nameless: frozenset[str]
    """Sections with an entry whose name could not be read."""

    @property
    def checked(self) -> int:
        """How many parties the file describes."""
        return sum(len(entries) for entries in self.entries.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """What an application of the file would do, in the order in which it is shown."""

    differences: tuple[Difference, ...]
    checked: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an application of the file did. `secrets`: {client_id: secret}, to be shown this once."""

    plan: Plan
    secrets: dict[str, str]
    notes: tuple[str, ...]


class BadConfiguration(Exception):
    """The file cannot be applied. `problems` are all that were found, by line; nothing was written."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__(f"{len(self.problems)} problems")
