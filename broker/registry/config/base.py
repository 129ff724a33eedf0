"""What each section of a configuration file is to the engine (broker.operations): the protocol and its values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from broker.actors import Actor
from broker.registry.config.table import Entry, Table

Changes = dict[str, tuple[Any, Any]]
"""{dotted key: (before, after)}"""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that the file names by its place. It never shows in a plan."""

    value: str = field(repr=False)


@dataclass(slots=True)
class Written:
    """What became of an entry: the party's row, secrets that were issued ({client_id: secret}), and remarks."""

    party: Any
    secrets: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


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
