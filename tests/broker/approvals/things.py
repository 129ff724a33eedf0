"""A kind of thing to be approved, kept in memory."""

from collections.abc import Mapping
from typing import Any

from broker.actors import Actor
from broker.errors import BrokerError


class Things:
    """{id: content}; what was approved, and by whom."""

    page = ""

    def __init__(self) -> None:
        self.contents: dict[str, dict[str, Any]] = {"1": {"colour": "red"}}
        self.active: list[tuple[str, str, str]] = []
        self.refused: list[str] = []
        self.breaks = False

    def content(self, subject_id: str) -> Mapping[str, Any] | None:
        return self.contents.get(subject_id)

    def activate(self, subject_id: str, *, proposed_by: str, approved_by: str, actor: Actor) -> None:
        if self.breaks:
            raise BrokerError("service.unavailable")
        assert actor.identifier == approved_by
        self.active.append((subject_id, proposed_by, approved_by))

    def refuse(self, subject_id: str, *, actor: Actor, reason: str) -> None:
        assert actor.identifier
        assert reason
        self.refused.append(subject_id)


THINGS = Things()
