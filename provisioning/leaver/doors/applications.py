"""Applications that took part in a session: told that it is over, over OIDC back-channel or SAML, by their own room.

Here is only looked what became of it. Where an application cannot be told, or did not acknowledge, what we gave it
ends with the session at the latest; whether it keeps a session of its own for longer nobody can see from here.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.conf import settings

from broker import limits
from broker.delivery.models import Delivery
from broker.events import catalogue
from broker.events.models import Event, Notice
from broker.sessions.models import Participant
from provisioning.leaver.doors.base import new_item, settle_unverifiable
from provisioning.leaver.doors.giving_up import note_given_up
from provisioning.leaver.doors.ledger import UNFINISHED, keep_proof, rows_by_reference
from provisioning.leaver.models import Case, Item

Code = Item.Code


class ApplicationDoor:
    """Every participation in a session that has time left, also in one that was ended before the departure."""

    kind = Item.Kind.APPLICATION

    def find(self, case: Case, *, now: datetime) -> list[Item]:
        rows = Participant.objects.filter(session__person=case.person_id, session__expires_at__gt=now)
        found = []
        for one in rows.select_related("application", "client", "session").order_by("joined_at", "pk"):
            name = f"{one.application}" + (f" (client {one.client.client_id})" if one.client else "")
            item = new_item(case, self.kind, str(one.pk), name, within=limits.LEAVER_LOGOUT_DEADLINE)
            item.until = one.session.expires_at
            item.evidence = {"session": str(one.session_id)}
            found.append(item)
        return found

    def look(self, case: Case, items: Sequence[Item], *, now: datetime) -> None:  # noqa: ARG002 - the door's signature
        mine = {f"participant:{item.reference}": item for item in items if item.state != Item.State.ACKNOWLEDGED}
        rows = rows_by_reference(mine)
        untold = _sessions_nobody_was_told_of(item.evidence["session"] for item in mine.values() if item.is_open)
        for reference, item in mine.items():
            until = item.until or now
            told = rows.get(reference, [])
            if told and all(row.state == Delivery.State.CONFIRMED for row in told):
                item.state, item.code, item.until = Item.State.ACKNOWLEDGED, Code.TOLD, None
                item.settled_at = max(row.settled_at for row in told if row.settled_at)
                item.delivery, item.digest = told[0].pk, told[0].digest
                keep_proof(item, told[0])
            elif any(row.state in UNFINISHED for row in told) and now < until:
                item.delivery = told[0].pk
                if not item.is_open:
                    # An operator tries again what had been given up.
                    item.state, item.code, item.settled_at = Item.State.OPEN, Code.WAITING, None
            elif not item.is_open:
                continue
            elif now < until and note_given_up(item, next(iter(told), None)):
                continue  # its session may go on there until then
            elif told:
                item.delivery = told[0].pk
                keep_proof(item, told[0])
                settle_unverifiable(item, Code.TELLING_FAILED, until=until, now=now)
            elif now >= until or item.evidence["session"] not in untold:
                settle_unverifiable(item, Code.NO_WAY_TO_TELL, until=until, now=now)


def _sessions_nobody_was_told_of(sessions: Iterable[str]) -> set[str]:
    """Of these sessions, those whose end the logout has not read yet: its rows may still come."""
    ends = Event.objects.filter(type=catalogue.SESSION_ENDED.name, subject_kind="session", subject_id__in=set(sessions))
    by_event = dict(ends.values_list("id", "subject_id"))
    readers = settings.EVENT_READERS.get(catalogue.SESSION_ENDED.name, ())
    unread = Notice.objects.filter(event_id__in=list(by_event), reader__in=readers)
    return {by_event[pk] for pk in unread.values_list("event_id", flat=True)}
