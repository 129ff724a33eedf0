"""Where a kill hit: what the killed worker held, and how far the target says each of it had come."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import Error, connection

from broker.delivery.models import Attempt, Delivery

JUST = timedelta(milliseconds=100)


@dataclass(slots=True)
class Kill:
    """`held`: {external id: when its attempt began} of the rows that the worker was delivering."""

    began: float
    at: float
    held: dict[str, float] = field(default_factory=dict)
    groups: int = 0
    has_just_settled: bool = False
    is_known: bool = True

    @property
    def is_busy(self) -> bool:
        """Whether it hit a worker that held rows."""
        return bool(self.held or self.groups) or not self.is_known


class StageCounter:
    """Looks at the ledger after each kill, and at the target's requests after all of them."""

    WAITING = "while it started or waited for work"
    BEFORE = "between the claim and the request"
    WITHIN = "while the target was at it"
    ANSWERED = "between the answer and the commit"
    AFTER = "within 0.1 s after a commit"
    STAGES = (WAITING, BEFORE, WITHIN, ANSWERED, AFTER)
    UNKNOWN = "unknown: the database was away"

    def look(self, pid: int, *, began: float, at: float) -> Kill:
        """What the ledger says of the worker with this id, killed just now."""
        kill = Kill(began, at)
        try:
            held = Delivery.objects.filter(lease__contains=f"/{pid}/", state=Delivery.State.DELIVERING)
            for subject, attempt_began in held.values_list("subject", "began_at"):
                kind, _, name = subject.partition(":")
                if kind == "person" and attempt_began is not None:
                    kill.held[name] = attempt_began.timestamp()
                kill.groups += kind == "group"
            until = datetime.fromtimestamp(at, UTC)
            kill.has_just_settled = Attempt.objects.filter(
                ended_at__gt=max(until - JUST, datetime.fromtimestamp(began, UTC)), ended_at__lte=until
            ).exclude(outcome=Attempt.Outcome.LOST).exists()  # fmt: skip
        except Error:
            kill.is_known = False
            with contextlib.suppress(Error):
                connection.close()
        return kill

    def stages_of(self, kill: Kill, requests: Iterable[Mapping[str, Any]]) -> set[str]:
        """The stages that this kill hit; rows of one batch may be in several."""
        if not kill.is_known:
            return {self.UNKNOWN}
        stages = {self.AFTER} if kill.has_just_settled else set()
        if not kill.held and not kill.groups:
            return stages or {self.WAITING}
        asked: dict[str, str] = {}
        for request in requests:
            if request["at"] > kill.at:
                break
            is_open = not request["done"] or request["done"] > kill.at
            for external_id in request["who"]:
                if request["at"] >= kill.held.get(external_id, kill.at):
                    asked[external_id] = self.WITHIN if is_open else self.ANSWERED
        return stages | {asked.get(external_id, self.BEFORE) for external_id in kill.held}
