"""Who tells us of people, as a value: `scim:workday`, `csv:payroll`, `idp:acme-entra`, `operator`, `system`."""

from dataclasses import dataclass
from enum import StrEnum

from broker.actors import Actor, ActorKind
from broker.registry import values
from broker.registry.values import BadValue

ALL = "*"
"""In place of a slug in a rule: every source of the kind."""


class SourceKind(StrEnum):
    """The kinds of sources, in the order in which they speak where no rule says otherwise."""

    SCIM = "scim"
    CSV = "csv"
    OPERATOR = "operator"
    IDP = "idp"
    SYSTEM = "system"


_WITHOUT_SLUG = frozenset({SourceKind.OPERATOR, SourceKind.SYSTEM})


@dataclass(frozen=True, slots=True)
class Source:
    """One who tells us of people. Its text is `kind:slug`, or the kind alone for operators and ourselves."""

    kind: SourceKind
    slug: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.slug}" if self.slug else str(self.kind)


OPERATORS = Source(SourceKind.OPERATOR)
OURSELVES = Source(SourceKind.SYSTEM)


def read_source(text: str) -> Source:
    """The source of a text. Raises BadValue."""
    kind, colon, slug = text.partition(":")
    if kind not in SourceKind.__members__.values():
        raise BadValue(f"{text[:100]!r} is no source; a source begins with one of {', '.join(SourceKind)}")
    if SourceKind(kind) in _WITHOUT_SLUG:
        if colon:
            raise BadValue(f"{kind} stands alone, without a name")
        return Source(SourceKind(kind))
    return Source(SourceKind(kind), values.slug(slug))


def read_pattern(text: str) -> str:
    """A source as a rule names it, `idp:*` for all identity providers included. Raises BadValue."""
    kind, _, slug = text.partition(":")
    if slug == ALL and kind in SourceKind.__members__.values() and SourceKind(kind) not in _WITHOUT_SLUG:
        return text
    return str(read_source(text))


def matches(pattern: str, text: str) -> bool:
    """Whether a rule's `pattern` means the source `text`."""
    return pattern == text or (pattern.endswith(f":{ALL}") and text.startswith(pattern[: -len(ALL)]))


def source_of(actor: Actor) -> Source:
    """As which source somebody speaks who acts on an account by hand."""
    return OPERATORS if actor.kind is ActorKind.OPERATOR else OURSELVES
