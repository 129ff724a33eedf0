"""The registry as it would be after a configuration file was applied: judged, and compared with what is."""

from collections.abc import Iterator, Mapping
from typing import Any

from broker.operations.plans import Action, BadConfiguration, Configuration, Difference
from broker.operations.sections import States, sections
from broker.registry.config.base import Section
from broker.registry.config.table import Entry, Problem


def check_final_state(configuration: Configuration, present: States, *, prune: bool) -> None:
    """Judge the registry as it would be afterwards: what is fixed, what is missing, names, references."""
    problems = list(configuration.problems)
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
            problems += _entry_problems(section, entry, present[name].get(key), final[name][key])
            problems += _dangling(section, entry, final[name][key], held, configuration.nameless)
    if problems:
        raise BadConfiguration(problems)


def _final_state(configuration: Configuration, present: States, *, prune: bool) -> States:
    final: States = {}
    for name in sections():
        kept = {} if prune else dict(present[name])
        for key, entry in configuration.entries[name].items():
            before = dict(present[name].get(key, {}))
            for face in dropped_faces(sections()[name], entry, before) if prune else ():
                before = {field: value for field, value in before.items() if not field.startswith(f"{face}.")}
            kept[key] = before | entry.values
        final[name] = kept
    return final


def _entry_problems(
    section: Section, entry: Entry, before: Mapping[str, Any] | None, final: Mapping[str, Any]
) -> Iterator[Problem]:
    for field_name in section.fixed:
        if before is not None and field_name in entry.values and entry.values[field_name] != before[field_name]:
            text = (
                f"cannot change from {before[field_name]} to {entry.values[field_name]}: "
                f"register another party under another {section.key}"
            )
            yield Problem(entry.line_of(field_name), f"{entry.path}.{field_name}", text)
    for field_name, text in section.faults(final, is_new=before is None) if entry.is_sound else ():
        path = f"{entry.path}.{field_name}" if field_name else entry.path
        yield Problem(entry.line_of(field_name), path, text)


def _dangling(
    section: Section,
    entry: Entry,
    final: Mapping[str, Any],
    names: Mapping[tuple[str, str], object],
    nameless: frozenset[str],
) -> Iterator[Problem]:
    """References to what will not be there; not judged where the party meant may be one without a readable name."""
    unreadable = {sections()[name].kind for name in nameless}
    unreadable |= {"client"} if "applications" in nameless else set()
    unreadable |= {"scope"} if "resources" in nameless or ("resource", final.get("resource")) not in names else set()
    for field_name, kind, wanted in section.references(final):
        if (kind, wanted) not in names and kind not in unreadable:
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


def dropped_faces(section: Section, entry: Entry, before: Mapping[str, Any]) -> tuple[str, ...]:
    """Faces that are registered and that the entry does not name."""
    return tuple(
        face
        for face in section.faces
        if any(name.startswith(f"{face}.") for name in before)
        and not any(name.startswith(f"{face}.") for name in entry.values)
    )


def list_differences(configuration: Configuration, present: States, *, prune: bool) -> Iterator[Difference]:
    for name, section in sections().items():
        entries = configuration.entries[name]
        for key, entry in entries.items():
            before = present[name].get(key)
            if before is None:
                yield Difference(Action.CREATE, name, key, entry.line, section.compare(key, {}, entry.values))
                continue
            changes = section.compare(key, before, entry.values)
            dropped = dropped_faces(section, entry, before) if prune else ()
            changes |= dict.fromkeys(dropped, ("registered", None))
            if changes:
                yield Difference(Action.CHANGE, name, key, entry.line, changes, dropped)
        if prune:
            for key in present[name].keys() - entries.keys():
                yield Difference(Action.RETIRE, name, key, 0)
