"""Which events a subscription is about: a type, all types under a prefix (`person.*`), or all (`*`)."""

from collections.abc import Iterable

from broker.events.catalogue import CATALOGUE
from broker.registry.values import BadValue

EVERY = "*"
GROUPED = frozenset({"token.issued", "token.refreshed", "token.exchanged", "delivery.settled"})
"""Of each token and each step of the ledger: too many to be sent one by one, so they are not offered."""
OWN = "webhook."
"""Events about webhooks themselves would follow each other for ever."""


def matches(pattern: str, event_type: str) -> bool:
    """Whether `pattern` names this type."""
    if event_type in GROUPED or event_type.startswith(OWN):
        return False
    if pattern == EVERY:
        return True
    return event_type.startswith(pattern[:-1]) if pattern.endswith(".*") else event_type == pattern


def check_patterns(patterns: Iterable[str]) -> list[str]:
    """The patterns without repetition. Raises BadValue for one that no event can ever match."""
    checked = list(dict.fromkeys(patterns))
    if not checked:
        raise BadValue("a webhook names at least one type of event")
    for pattern in checked:
        if pattern in GROUPED:
            raise BadValue(f"{pattern} is too frequent for webhooks; read the book's export instead")
        if not any(matches(pattern, name) for name in CATALOGUE):
            raise BadValue(f"{pattern!r} matches no event; docs/events.md lists them")
    return checked
