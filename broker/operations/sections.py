"""The sections of configuration files, found by dotted names, and the registry as they describe it."""

from functools import cache
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from broker.registry.config.base import KeyHook, Section

States = dict[str, dict[str, dict[str, Any]]]
"""{section: {key of a party: its values}}"""


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
