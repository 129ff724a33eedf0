"""The questions of AuthZEN 1.0 and their answers, as values: JSON inside, no HTTP and no database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from broker.registry.models import Client


@dataclass(frozen=True, slots=True)
class Subject:
    """Who wants to act (AuthZEN 5.1). `user` is a person of ours under its UUID, `client` a client under its id."""

    type: str
    id: str
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """What the subject wants to do (AuthZEN 5.3)."""

    name: str
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resource:
    """To what (AuthZEN 5.2). `application` is one of ours under its slug."""

    type: str
    id: str
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One question (AuthZEN 6.1). Properties and context are JSON from outside, not yet looked at."""

    subject: Subject
    action: Action
    resource: Resource
    context: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The question as AuthZEN writes it, with nothing left out."""
        return {
            "subject": {
                "type": self.subject.type,
                "id": self.subject.id,
                "properties": dict(self.subject.properties),
            },
            "action": {"name": self.action.name, "properties": dict(self.action.properties)},
            "resource": {
                "type": self.resource.type,
                "id": self.resource.id,
                "properties": dict(self.resource.properties),
            },
            "context": dict(self.context),
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Evaluation":
        """The question that `as_json` wrote."""
        return cls(
            Subject(**written["subject"]),
            Action(**written["action"]),
            Resource(**written["resource"]),
            written["context"],
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the engine says. Whatever went wrong stands in `errors`, and then the decision is False."""

    decision: bool
    reasons: tuple[str, ...] = ()
    """The ids of the determining policies, `<policy>/<statement>`, sorted; empty when nothing permits."""
    errors: tuple[str, ...] = ()
    policy_version: int = 0
    """The number of the policy set by which it was judged."""


class Caller(Protocol):
    """Who asks. A caller asks only about its own resources; of any other the answer is no."""

    @property
    def client(self) -> "Client | None":
        """The verified client; None is the broker itself."""
        ...

    def may_ask(self, resource: Resource) -> bool:
        """Whether this resource is one of the caller's own."""
        ...
