"""Who says what of a person, and whose word counts: values and no database.

A person's provenance is {attribute: {source: Told}}. The winner of an attribute is found among what the sources say:

- A rule names the sources of an attribute, the best first. Who is not named has no authority; ourselves come last.
- Without a rule, feeds (SCIM, then CSV files) come before operators, and operators before identity providers.
- Of several feeds of one rank, the one that spoke first goes on to speak. Of several identity providers the last one
  does, as each login brings what is true today.
- To say that there is none is to say something. Who no longer speaks of a person is taken out.
- Whether an account is open: what an operator closed is closed, whatever a source says. Only an operator opens it
  again, and what the sources say counts again then. A feed that no longer knows the person closes the account too,
  until a feed with authority speaks of it anew.
- What belongs to somebody else is kept and cannot win.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from broker.directory.attributes import ACTIVE, FALSE
from broker.directory.sources import OPERATORS, OURSELVES, SourceKind, matches

TAKEN = "authority.identifier_taken"
UNTOLD = "authority.not_authoritative"
_HANDS = (str(OPERATORS), str(OURSELVES))
_FEEDS = frozenset({SourceKind.SCIM, SourceKind.CSV})
_ORDER = {kind: rank for rank, kind in enumerate(SourceKind)}


class Told(TypedDict):
    """What one source says of one attribute, as it is stored."""

    values: list[str]
    at: str
    """Since when, as an ISO 8601 time in UTC with milliseconds."""
    evidence: str
    first: NotRequired[str]
    """Since when the source speaks of it at all, where that is longer."""
    conflict: NotRequired[str]
    """The code of the conflict that is recorded of it."""
    gone: NotRequired[bool]
    """The source no longer knows the person, which closes the account."""


Entries = Mapping[str, Told]
"""{source: what it says}"""


@dataclass(frozen=True, slots=True)
class Order:
    """The order of the sources of one attribute: by rule, or the usual one."""

    patterns: tuple[str, ...] = ()

    def rank(self, source: str) -> int | None:
        """The smaller the better; None: no authority."""
        if source == OURSELVES.kind:
            return len(_ORDER) + len(self.patterns)
        if not self.patterns:
            return _ORDER[SourceKind(source.partition(":")[0])]
        for rank, pattern in enumerate(self.patterns):
            if matches(pattern, source):
                return rank
        return None


USUAL = Order()


def find_winner(attribute: str, entries: Entries, order: Order) -> str | None:
    """The source whose word counts; None when none of them has authority."""
    if attribute == ACTIVE and (closer := _closer(entries)):
        return closer
    ranked = [
        (rank, source)
        for source, told in entries.items()
        if (rank := order.rank(source)) is not None and told.get("conflict") != TAKEN
    ]
    if not ranked:
        return None
    if attribute == ACTIVE:
        return _first_who_stayed(ranked, entries)
    best = min(rank for rank, _ in ranked)
    return _first_of_equals([source for rank, source in ranked if rank == best], entries)


def said(entries: Entries, source: str | None) -> tuple[str, ...]:
    """The values of a source, none where nobody won."""
    return tuple(entries[source]["values"]) if source is not None else ()


def since(told: Told) -> str:
    """When a source began to speak of an attribute."""
    return told.get("first") or told["at"]


def _closer(entries: Entries) -> str | None:
    """Who closed the account by hand, unless it was opened by hand since."""
    acts = [source for source in _HANDS if source in entries]
    last = max(acts, key=lambda source: (entries[source]["at"], _says_closed(entries[source])), default=None)
    return last if last is not None and _says_closed(entries[last]) else None


def _says_closed(told: Told) -> bool:
    return tuple(told["values"]) == FALSE


def _first_of_equals(sources: Sequence[str], entries: Entries) -> str:
    if sources[0].startswith(f"{SourceKind.IDP}:"):
        return max(sources, key=lambda source: (entries[source]["at"], source))
    return min(sources, key=lambda source: (since(entries[source]), source))


def _first_who_stayed(ranked: Sequence[tuple[int, str]], entries: Entries) -> str:
    """The best, or, when it no longer knows the person, the next feed that spoke after it had gone."""
    in_order = [source for _, source in sorted(ranked, key=lambda one: (one[0], since(entries[one[1]]), one[1]))]
    first, *others = in_order
    for other in others:
        has_gone = entries[first].get("gone", False)
        if has_gone and other.partition(":")[0] in _FEEDS and entries[other]["at"] > entries[first]["at"]:
            first = other
    return first
