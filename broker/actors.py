"""Who acts, from where, and under which trace id: handed to services in place of a request."""

from dataclasses import dataclass, replace
from enum import StrEnum


class ActorKind(StrEnum):
    PERSON = "person"
    CLIENT = "client"
    OPERATOR = "operator"
    SYSTEM = "system"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts (`kind`, `identifier`), from which address, and the trace id under which it is recorded."""

    kind: ActorKind
    identifier: str = ""
    address: str = ""
    trace_id: str = ""

    def acting_as(self, kind: ActorKind, identifier: str) -> "Actor":
        """The same request, once it is known who is behind it."""
        return replace(self, kind=kind, identifier=identifier)


SYSTEM = Actor(ActorKind.SYSTEM, "countersign")
