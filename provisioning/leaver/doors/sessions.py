"""Single sign-on sessions: ended by us, and read back."""

from collections.abc import Sequence
from datetime import datetime

from broker import limits
from broker.actors import SYSTEM
from broker.events import catalogue
from broker.sessions.models import Session
from broker.sessions.services import end_session
from provisioning.leaver.digests import time_text
from provisioning.leaver.doors.base import new_item, settle_by_evidence
from provisioning.leaver.doors.book import last_events
from provisioning.leaver.models import Case, Item

REASON = "leaver"


class SessionDoor:
    """Every session that was not ended and has time left, also one that idled too long to open anything."""

    kind = Item.Kind.SESSION

    def find(self, case: Case, *, now: datetime) -> list[Item]:
        rows = Session.objects.filter(person=case.person_id, ended_at=None, expires_at__gt=now)
        return [
            new_item(
                case,
                self.kind,
                str(session.pk),
                f"session at {session.identity_provider}, since {session.started_at:%Y-%m-%d %H:%M} UTC",
                within=limits.LEAVER_DOOR_DEADLINE,
            )
            for session in rows.select_related("identity_provider").order_by("started_at", "pk")
        ]

    def look(self, case: Case, items: Sequence[Item], *, now: datetime) -> None:  # noqa: ARG002 - the door's signature
        mine = {item.reference: item for item in items if item.is_open}
        rows = Session.objects.filter(pk__in=mine)
        for session in rows.filter(ended_at=None).select_related("identity_provider"):
            end_session(session, reason=REASON, actor=SYSTEM)
        events = last_events("session", mine, catalogue.SESSION_ENDED.name)
        for pk, ended_at, reason in rows.exclude(ended_at=None).values_list("pk", "ended_at", "end_reason"):
            reference = str(pk)
            evidence = {"session": reference, "ended_at": time_text(ended_at), "reason": reason}
            settle_by_evidence(mine[reference], Item.Code.ENDED, evidence, now=now, event=events.get(reference))
