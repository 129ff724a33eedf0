"""Configuration as code: read a file, plan the difference, apply it in one transaction.

What a section and its keys mean comes from the rooms by dotted names (settings.CONFIG_SECTIONS, CONFIG_KEYS). What
the file does not name is left alone; `prune` retires it.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from django.db import transaction

from broker.actors import Actor
from broker.events import catalogue
from broker.events.services import record
from broker.operations.documents import BadDocument, parse
from broker.operations.final_state import check_final_state, list_differences
from broker.operations.plans import BadConfiguration, Configuration, Outcome, Plan
from broker.operations.sections import States, hooks, read_present, sections
from broker.operations.writing import Writing
from broker.registry.config.base import Section
from broker.registry.config.table import Entry, Problem, Reading, Table, Value
from broker.registry.registering.changes import hold_registry


def read_configuration(path: Path, *, environment: Mapping[str, str] = os.environ) -> Configuration:
    """Read the file and all that it names (metadata, keys, secrets).

    Raises BadConfiguration when it is not YAML; what else is wrong is kept for the plan, which refuses it together
    with what it finds.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadConfiguration([Problem(1, "", f"cannot read the file: {error.strerror}")]) from error
    try:
        root = parse(raw)
    except BadDocument as error:
        raise BadConfiguration([error.problem]) from error
    reading = Reading(folder=path.parent, environment=environment)
    entries, nameless = _read_sections(root, reading)
    return Configuration(
        path=path,
        digest=hashlib.sha256(raw).hexdigest(),
        entries=entries,
        notes=tuple(reading.notes),
        problems=tuple(reading.problems),
        nameless=frozenset(nameless),
    )


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
    writing = Writing(configuration, plan, present, actor)
    if plan.differences:
        writing.write()
        record(
            catalogue.CONFIGURATION_APPLIED,
            actor=actor,
            subject=("configuration", configuration.path.name[:200]),
            digest=configuration.digest,
            checked=plan.checked,
            changed=len(plan.differences),
        )
    return Outcome(plan=plan, secrets=writing.secrets, notes=(*configuration.notes, *writing.notes))


def _plan(configuration: Configuration, present: States, *, prune: bool) -> Plan:
    check_final_state(configuration, present, prune=prune)
    return Plan(
        differences=tuple(list_differences(configuration, present, prune=prune)),
        checked=configuration.checked,
        notes=configuration.notes,
    )


def _read_sections(root: Value, reading: Reading) -> tuple[dict[str, dict[str, Entry]], set[str]]:
    """The entries by section, and the sections that have one without a readable name."""
    if not isinstance(root.content, dict):
        raise BadConfiguration([Problem(root.line, "", "the file must be a mapping of sections")])
    nameless = set()
    top = Table(root.content, line=root.line, path="", reading=reading)
    entries: dict[str, dict[str, Entry]] = {}
    for name, section in sections().items():
        value = top.raw(name)
        entries[name] = {}
        if value is None:
            continue
        if not isinstance(value.content, list):
            top.problem(name, "wants a list")
            continue
        for number, item in enumerate(value.content):
            entry = _read_entry(section, item, number, reading)
            if entry is None:
                nameless.add(name)
            elif entry.key in entries[name]:
                first = entries[name][entry.key].line
                reading.problems.append(Problem(entry.line, entry.path, f"is described twice, first on line {first}"))
            else:
                entries[name][entry.key] = entry
    top.close()
    return entries, nameless


def _read_entry(section: Section, item: Value, number: int, reading: Reading) -> Entry | None:
    path = f"{section.name}[{number}]"
    if not isinstance(item.content, dict):
        reading.problems.append(Problem(item.line, path, "wants a mapping"))
        return None
    found_before = len(reading.problems)
    table = Table(item.content, line=item.line, path=path, reading=reading)
    if "," not in section.key:
        table.require(section.key)
    key = section.identify(table)
    if key is not None:
        table.path = f"{section.name}[{key}]"
    entry = section.read(table, key or "")
    for (place, name), hook in hooks().items():
        if place == section.name and (value := hook.read(table, name)) is not None:
            entry.values[name] = value
    table.close()
    if key is None:
        return None
    return replace(entry, is_sound=len(reading.problems) == found_before)
