"""The present state of the registry, written in the format of configuration files."""

from datetime import date
from typing import Any

import yaml

from broker.operations.sections import read_present, sections

HEADER = "# Written by manage.py export. Secrets are never exported; a client that exists keeps its own.\n"


def export_configuration() -> str:
    """YAML of all registered parties. Applying it to the same installation changes nothing."""
    present = read_present()
    parts = [HEADER]
    for name, section in sections().items():
        if not present[name]:
            continue
        parts.append(f"{name}:\n")
        for key, values in present[name].items():
            parts.append(_entry(section.key, key, section.exported(values)))
            parts += [f"    # {line}\n" for line in section.withheld(key, values)]
    return "".join(parts)


def _entry(key_name: str, key: str, values: dict[str, Any]) -> str:
    named = {} if "," in key_name else {key_name: key}
    text = yaml.dump([named | _nested(values)], Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return "".join(f"  {line}" if line.strip() else line for line in text.splitlines(keepends=True))


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    """Dotted keys as mappings; what is empty is left out."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        if value in ("", None, {}):
            continue
        face, _, rest = name.rpartition(".")
        (nested.setdefault(face, {}) if face else nested)[rest] = value
    return nested


class _Dumper(yaml.SafeDumper):
    """YAML's own types only; texts of several lines as blocks, so that metadata stays readable."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style=style)


def _represent_date(dumper: yaml.SafeDumper, day: date) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:timestamp", day.isoformat())


_Dumper.add_multi_representer(str, _represent_text)
_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(date, _represent_date)
