"""What became of telling the applications, as the person who signed out may see it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from django.utils import timezone

from broker import crypto, limits
from broker.delivery.models import Delivery
from broker.errors import BrokerError
from broker.sessions.models import Participant, Session
from broker.wording import in_words
from federation.logout.ways import ways_of

CONTEXT = "logout.ended"


class Told(StrEnum):
    """How far an application is told, the best first."""

    ACKNOWLEDGED = "acknowledged"
    WAITING = "waiting"
    FAILED = "failed"
    CANNOT = "cannot"


_RANKS = {state: rank for rank, state in enumerate(Told)}
_OVER = (Delivery.State.DEAD, Delivery.State.SKIPPED)


@dataclass(frozen=True, slots=True)
class Standing:
    """One application that took part in a session that ended."""

    application: str
    state: Told
    at: datetime | None = None
    """When it acknowledged."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a sign-out will reach: names of applications."""

    told: Sequence[str]
    left: Sequence[str]


@dataclass(frozen=True, slots=True)
class Ended:
    """Sessions that somebody ended, for the page that goes on looking at them."""

    sessions: Sequence[UUID]
    at: datetime
    everywhere: bool = False

    @classmethod
    def just_now(cls, sessions: Sequence[UUID], *, everywhere: bool = False) -> "Ended":
        return cls(sessions[: limits.LOGOUT_SESSIONS_SHOWN], timezone.now(), everywhere)

    def seal(self) -> str:
        """For the browser to come back with, unreadable and unchangeable."""
        carried = {"sessions": [one.hex for one in self.sessions], "at": self.at.timestamp(), "all": self.everywhere}
        return crypto.seal(json.dumps(carried).encode(), context=CONTEXT)

    @classmethod
    def unseal(cls, sealed: str, *, now: datetime) -> "Ended":
        """What `seal` sealed. Raises BrokerError (signon.unknown, signon.expired)."""
        try:
            carried = json.loads(crypto.unseal(sealed, context=CONTEXT))
        except crypto.UnsealError as error:
            raise BrokerError("signon.unknown", detail="a link to a sign-out that we did not seal") from error
        ended = cls(
            [UUID(one) for one in carried["sessions"]], datetime.fromtimestamp(carried["at"], UTC), carried["all"]
        )
        if now - ended.at >= limits.LOGOUT_REQUEST_LIFETIME:
            raise BrokerError("signon.expired", expected=f"a look within {in_words(limits.LOGOUT_REQUEST_LIFETIME)}")
        return ended


def reach_of(session: Session) -> Reach:
    """Which applications of a live session will be told of its end, and in which the person stays signed on."""
    reached = {one.application.name: bool(ways_of(one)) for one in _participants([session.pk])}
    names = sorted(reached)
    return Reach([name for name in names if reached[name]], [name for name in names if not reached[name]])


def standing_of(sessions: Iterable[UUID]) -> list[Standing]:
    """Each application that took part in these ended sessions once, with the worst that is known of it, by name."""
    participants = _participants(list(sessions))
    rows: dict[str, list[Delivery]] = {}
    references = [one.reference for one in participants]
    for row in Delivery.objects.filter(reference__in=references).exclude(state=Delivery.State.SUPERSEDED):
        rows.setdefault(row.reference, []).append(row)
    found: dict[str, Standing] = {}
    for participant in participants:
        standing = _standing(participant, rows.get(participant.reference, []))
        known = found.get(standing.application)
        if known is None or _RANKS[standing.state] > _RANKS[known.state]:
            found[standing.application] = standing
    return [found[name] for name in sorted(found)]


def _standing(participant: Participant, rows: Sequence[Delivery]) -> Standing:
    name = participant.application.name
    if not rows:
        # The ledger has nothing yet: the reader comes within a moment, where there is a way.
        return Standing(name, Told.WAITING if ways_of(participant) else Told.CANNOT)
    states = {row.state for row in rows}
    if states <= {Delivery.State.CONFIRMED}:
        return Standing(name, Told.ACKNOWLEDGED, max(row.settled_at for row in rows if row.settled_at))
    return Standing(name, Told.FAILED if states & set(_OVER) else Told.WAITING)


def _participants(sessions: Sequence[UUID]) -> list[Participant]:
    return list(
        Participant.objects.filter(session_id__in=sessions).select_related("client", "application__service_provider")
    )
