"""Configuration as code: read a file, plan the difference, apply it in one transaction.

What a section and its keys mean comes from the rooms by dotted names (settings.CONFIG_SECTIONS, CONFIG_KEYS). What
the file does not name is left alone; `prune` retires it.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from broker.actors import Actor
from broker.events import catalogue
from broker.events.services import record
from broker.operations.documents import BadDocument, parse
from broker.registry.config.base import Changes, Entry, KeyHook, Problem, Reading, Section, Table, Value
from broker.registry.registering.changes import hold_registry
from broker.registry.values import BadValue

LATER_SECTIONS = ("policies", "scim_sources", "targets")
"""Sections of the format that this version does not offer."""

States = dict[str, dict[str, dict[str, Any]]]
"""{section: {key of a party: its values}}"""


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


def read_configuration(path: Path, *, environment: Mapping[str, str] = os.environ) -> Configuration:
    """Read the file and all that it names (metadata, keys, secrets). Raises BadConfiguration."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadConfiguration([Problem(1, "", f"cannot read the file: {error.strerror}")]) from error
    try:
        root = parse(raw)
    except BadDocument as error:
        raise BadConfiguration([error.problem]) from error
    reading = Reading(folder=path.parent, environment=environment)
    entries = _read_sections(root, reading)
    if reading.problems:
        raise BadConfiguration(reading.problems)
    return Configuration(path, hashlib.sha256(raw).hexdigest(), entries, tuple(reading.notes))


def plan_configuration(configuration: Configuration, *, prune: bool = False) -> Plan:
    """The difference between the file and what is registered; reads only. Raises BadConfiguration."""
    return _plan(configuration, read_present(), prune=prune)


@transaction.atomic
def apply_configuration(configuration: Configuration, *, actor: Actor, prune: bool = False) -> Outcome:
    """Make it so, all or nothing, with one event for the whole beside those of the parties.

    Writes nothing at all when nothing differs. Raises BadConfiguration.
    """
    hold_registry()
    present = read_present()
    plan = _plan(configuration, present, prune=prune)
    writing = _Writing(configuration, plan, present, actor)
    if plan.differences:
        writing.write()
        record(
            catalogue.CONFIGURATION_APPLIED,
            actor=actor,
            subject=("configuration", configuration.path.name),
            digest=configuration.digest,
            checked=plan.checked,
            changed=len(plan.differences),
        )
    return Outcome(plan=plan, secrets=writing.secrets, notes=(*configuration.notes, *writing.notes))


def read_present() -> States:
    """All registered parties, by section, in the form of the file's values."""
    present = {name: section.present() for name, section in sections().items()}
    for (section, name), hook in hooks().items():
        for key, value in hook.present().items():
            if key in present[section]:
                present[section][key][name] = value
    return present


@cache
def sections() -> dict[str, Section]:
    """The sections by name, in the order of the format."""
    found = [import_string(name) for name in settings.CONFIG_SECTIONS]
    return {section.name: section for section in found}


@cache
def hooks() -> dict[tuple[str, str], KeyHook]:
    """Keys that belong to other rooms: {(section, key): hook}."""
    return {place: import_string(name) for place, name in settings.CONFIG_KEYS.items()}


def _plan(configuration: Configuration, present: States, *, prune: bool) -> Plan:
    _check_final_state(configuration, present, prune=prune)
    return Plan(
        differences=tuple(_differences(configuration, present, prune=prune)),
        checked=configuration.checked,
        notes=configuration.notes,
    )


def _read_sections(root: Value, reading: Reading) -> dict[str, dict[str, Entry]]:
    if not isinstance(root.content, dict):
        reading.problems.append(Problem(root.line, "", "the file must be a mapping of sections"))
        return {}
    top = Table(root.content, line=root.line, path="", reading=reading)
    entries: dict[str, dict[str, Entry]] = {}
    for name in LATER_SECTIONS:
        if top.raw(name) is not None:
            top.problem(name, f"{name} is not offered yet")
    for name, section in sections().items():
        value = top.raw(name)
        entries[name] = {}
        if value is None:
            continue
        if not isinstance(value.content, list):
            top.problem(name, "wants a list")
            continue
        for number, item in enumerate(value.content):
            _read_entry(section, item, number, entries[name], reading)
    top.close()
    return entries


def _read_entry(section: Section, item: Value, number: int, entries: dict[str, Entry], reading: Reading) -> None:
    path = f"{section.name}[{number}]"
    if not isinstance(item.content, dict):
        reading.problems.append(Problem(item.line, path, "wants a mapping"))
        return
    table = Table(item.content, line=item.line, path=path, reading=reading)
    if "," not in section.key:
        table.require(section.key)
    key = section.identify(table)
    if key is None:
        return
    table.path = f"{section.name}[{key}]"
    entry = section.read(table, key)
    for (place, name), hook in hooks().items():
        if place == section.name and (value := hook.read(table, name)) is not None:
            entry.values[name] = value
    table.close()
    if key in entries:
        table.problem("", f"is described twice, first on line {entries[key].line}")
    entries[key] = entry


def _check_final_state(configuration: Configuration, present: States, *, prune: bool) -> None:
    """Judge the registry as it would be afterwards: what is fixed, what is missing, names, references."""
    problems: list[Problem] = []
    final = _final_state(configuration, present, prune=prune)
    held: dict[tuple[str, str], tuple[str, str]] = {}
    for name, section in sections().items():
        for key, values in final[name].items():
            for held_name in sorted(section.names(key, values)):
                owner = held.setdefault(held_name, (name, key))
                if owner != (name, key):
                    problems.append(_clash(configuration, held_name, owner, (name, key)))
    for name, section in sections().items():
        for key, entry in configuration.entries[name].items():
            problems += _entry_problems(section, entry, present[name].get(key), final[name][key], held.keys())
    if problems:
        raise BadConfiguration(problems)


def _final_state(configuration: Configuration, present: States, *, prune: bool) -> States:
    final: States = {}
    for name in sections():
        kept = {} if prune else dict(present[name])
        for key, entry in configuration.entries[name].items():
            before = dict(present[name].get(key, {}))
            for face in _dropped_faces(sections()[name], entry, before) if prune else ():
                before = {field: value for field, value in before.items() if not field.startswith(f"{face}.")}
            kept[key] = before | entry.values
        final[name] = kept
    return final


def _entry_problems(
    section: Section, entry: Entry, before: Mapping[str, Any] | None, final: Mapping[str, Any], names: Any
) -> Iterator[Problem]:
    for field_name in section.fixed:
        if before is not None and field_name in entry.values and entry.values[field_name] != before[field_name]:
            text = (
                f"cannot change from {before[field_name]} to {entry.values[field_name]}: "
                f"register another party under another {section.key}"
            )
            yield Problem(entry.line_of(field_name), f"{entry.path}.{field_name}", text)
    for field_name, text in section.faults(final, is_new=before is None):
        path = f"{entry.path}.{field_name}" if field_name else entry.path
        yield Problem(entry.line_of(field_name), path, text)
    for field_name, kind, wanted in section.references({**final}):
        if (kind, wanted) not in names:
            text = f"there is no {kind.replace('_', ' ')} {wanted}"
            yield Problem(entry.line_of(field_name), f"{entry.path}.{field_name}", text)


def _clash(
    configuration: Configuration, name: tuple[str, str], one: tuple[str, str], other: tuple[str, str]
) -> Problem:
    """At least one of the two stands in the file, the later one preferably: the problem is shown there."""
    (section, key), (other_section, other_key) = (
        (other, one)
        if other[1] in configuration.entries[other[0]]
        else (
            one,
            other,
        )
    )
    entry = configuration.entries[section][key]
    kind = name[0].rstrip("s").replace("_", " ")
    return Problem(
        entry.line_of(name[0]), entry.path, f"the {kind} {name[1]} also belongs to {other_section}[{other_key}]"
    )


def _dropped_faces(section: Section, entry: Entry, before: Mapping[str, Any]) -> tuple[str, ...]:
    """Faces that are registered and that the entry does not name."""
    return tuple(
        face
        for face in section.faces
        if any(name.startswith(f"{face}.") for name in before)
        and not any(name.startswith(f"{face}.") for name in entry.values)
    )


def _differences(configuration: Configuration, present: States, *, prune: bool) -> Iterator[Difference]:
    for name, section in sections().items():
        entries = configuration.entries[name]
        for key, entry in entries.items():
            before = present[name].get(key)
            if before is None:
                yield Difference(Action.CREATE, name, key, entry.line, section.compare(key, {}, entry.values))
                continue
            changes = section.compare(key, before, entry.values)
            dropped = _dropped_faces(section, entry, before) if prune else ()
            changes |= dict.fromkeys(dropped, ("registered", None))
            if changes:
                yield Difference(Action.CHANGE, name, key, entry.line, changes, dropped)
        if prune:
            for key in present[name].keys() - entries.keys():
                yield Difference(Action.RETIRE, name, key, 1)


class _Writing:
    """The steps of one application, inside its transaction."""

    def __init__(self, configuration: Configuration, plan: Plan, present: States, actor: Actor) -> None:
        self.configuration = configuration
        self.plan = plan
        self.present = present
        self.actor = actor
        self.secrets: dict[str, str] = {}
        self.notes: list[str] = []
        order = TopologicalSorter({name: section.after for name, section in sections().items()}).static_order()
        self.rank = {name: rank for rank, name in enumerate(order)}

    def write(self) -> None:
        """Free what moves to another party, write in the order of references, retire in the opposite order."""
        written = [one for one in self.plan.differences if one.action is not Action.RETIRE]
        retired = [one for one in self.plan.differences if one.action is Action.RETIRE]
        retired.sort(key=lambda one: self.rank[one.section], reverse=True)
        written.sort(key=lambda one: self.rank[one.section])
        wanted = self._wanted_names(written)
        early = [one for one in retired if self._held_names(one) & wanted.keys()]
        for one in early:
            self._guarded(one, self._retire)
        for one in written:
            self._guarded(one, lambda difference, section: self._release(difference, section, wanted))
        for one in written:
            self._guarded(one, self._write)
        for one in retired:
            if one not in early:
                self._guarded(one, self._retire)

    def _guarded(self, difference: Difference, step: Any) -> None:
        try:
            step(difference, sections()[difference.section])
        except BadValue as error:
            path = f"{difference.section}[{difference.key}]"
            raise BadConfiguration([Problem(difference.line, path, str(error))]) from error

    def _wanted_names(self, written: list[Difference]) -> dict[tuple[str, str], str]:
        """{(kind, name): key of the party that is to hold it}"""
        return {
            name: one.key for one in written for name in sections()[one.section].names(one.key, self._entry(one).values)
        }

    def _held_names(self, difference: Difference) -> set[tuple[str, str]]:
        values = self.present[difference.section][difference.key]
        return sections()[difference.section].names(difference.key, values)

    def _release(self, difference: Difference, section: Section, wanted: Mapping[tuple[str, str], str]) -> None:
        """Take away what this party loses to another one, which would else find it taken."""
        for face in difference.dropped_faces:
            section.drop_face(difference.key, face, actor=self.actor)
        for name in section.lists:
            before = difference.changes.get(name, ((), ()))[0] or ()
            kept = [item for item in before if wanted.get((name, item), difference.key) == difference.key]
            if kept != list(before):
                section.change(difference.key, {name: kept}, actor=self.actor)

    def _write(self, difference: Difference, section: Section) -> None:
        values = self._entry(difference).values
        foreign = {name: hook for (place, name), hook in hooks().items() if place == section.name and name in values}
        own = {name: value for name, value in values.items() if name not in foreign}
        step = section.create if difference.action is Action.CREATE else section.change
        written = step(difference.key, own, actor=self.actor)
        for name, hook in foreign.items():
            hook.write(written.party, values[name], actor=self.actor)
        self.secrets |= written.secrets
        self.notes += written.notes

    def _retire(self, difference: Difference, section: Section) -> None:
        section.retire(difference.key, actor=self.actor)

    def _entry(self, difference: Difference) -> Entry:
        return self.configuration.entries[difference.section][difference.key]
