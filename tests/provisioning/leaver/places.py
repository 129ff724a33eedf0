"""Receivers of the tests: targets that close accounts, lie, answer nothing or let people in again, and applications."""

import hashlib
from collections.abc import Sequence

from django.utils import timezone

from broker.delivery.handlers import Settle
from broker.delivery.models import Delivery
from broker.delivery.outcomes import Outcome, confirmed, failed, retry
from provisioning.outbound.models import RemoteAccount, Target


class Places:
    """How each lane behaves: `closes`, `lies`, `down`, and which accounts are active there by now."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.behaviour: dict[str, str] = {}
        self.active: dict[str, bool | None] = {}
        """{lane: whether the leaver's account is active; None: there is none}."""
        self.answers = 0

    def answer(self, active: bool | None) -> str:
        self.answers += 1
        return hashlib.sha256(f"answer {self.answers}: {active}".encode()).hexdigest()


PLACES = Places()


class Scim:
    """Plays the room of targets: it closes an account and believes only what it reads back."""

    batch = 50

    def deliver(self, lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        settle([(row, self._close(lane, row)) for row in batch])

    def _close(self, lane: str, row: Delivery) -> Outcome:
        match PLACES.behaviour.get(lane, "closes"):
            case "down":
                return retry("outgoing.unreachable")
            case "lies":
                return retry("target.lied", status=200)
        PLACES.active[lane] = False
        digest = PLACES.answer(False)
        RemoteAccount.objects.filter(target__slug=lane.partition(":")[2], person=row.subject.partition(":")[2]).update(
            state="disabled", read_active=False, read_at=timezone.now(), answer_digest=digest
        )
        return confirmed(digest, status=200)


class Applications:
    """Acknowledge a logout, or say no."""

    batch = 50

    def deliver(self, lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        if PLACES.behaviour.get(lane) == "down":
            settle([(row, retry("logout.unanswered", status=503)) for row in batch])
        elif PLACES.behaviour.get(lane) == "refuses":
            settle([(row, failed("logout.refused", status=400)) for row in batch])
        else:
            settle([(row, confirmed(PLACES.answer(None), status=200)) for row in batch])


def read_back(target: Target, person_ids: Sequence[object]) -> list[RemoteAccount]:
    """In the place of the room that reads targets."""
    active = PLACES.active.get(target.lane)
    state = {None: "absent", False: "disabled", True: "present"}[active]
    return [
        RemoteAccount(
            target=target,
            person_id=one,
            state=state,
            read_active=active,
            read_at=timezone.now(),
            answer_digest=PLACES.answer(active),
        )
        for one in person_ids
    ]


SCIM = Scim()
APPLICATIONS = Applications()
