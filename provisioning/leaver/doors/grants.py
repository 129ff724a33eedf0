"""Grants with their refresh tokens, revoked by us and read back; and the access tokens that nobody can take back."""

from collections.abc import Sequence
from datetime import datetime

from broker import limits
from broker.actors import SYSTEM
from broker.directory.models import Person
from broker.events import catalogue
from broker.tokens.holdings import holdings_of, revoke_holdings
from broker.tokens.issuing import lifetime_of
from broker.tokens.models import Grant
from provisioning.leaver.digests import time_text
from provisioning.leaver.doors.base import new_item, settle_by_evidence, settle_unverifiable
from provisioning.leaver.doors.book import last_events
from provisioning.leaver.doors.sessions import REASON
from provisioning.leaver.models import Case, Item


class GrantDoor:
    """Every grant that lives. Codes that are not redeemed yet end with them."""

    kind = Item.Kind.GRANT

    def find(self, case: Case, *, now: datetime) -> list[Item]:
        return [
            new_item(case, self.kind, str(grant.pk), _title(grant), within=limits.LEAVER_DOOR_DEADLINE)
            for grant in holdings_of(Person(pk=case.person_id), now=now)
        ]

    def look(self, case: Case, items: Sequence[Item], *, now: datetime) -> None:
        mine = {item.reference: item for item in items if item.is_open}
        if not mine:
            return
        revoke_holdings(Person(pk=case.person_id), reason=REASON, actor=SYSTEM)
        singly = last_events("grant", mine, catalogue.GRANT_REVOKED.name)
        together = last_events("person", [case.person_id], catalogue.HOLDINGS_REVOKED.name).get(str(case.person_id))
        rows = Grant.objects.filter(pk__in=mine).exclude(revoked_at=None)
        for pk, revoked_at, reason in rows.values_list("pk", "revoked_at", "revoke_reason"):
            reference = str(pk)
            evidence = {"grant": reference, "revoked_at": time_text(revoked_at), "reason": reason}
            event = singly.get(reference) or together
            settle_by_evidence(mine[reference], Item.Code.REVOKED, evidence, now=now, event=event)


class AccessTokenDoor:
    """Access tokens that were issued lately. We refuse them at once; whoever checks them alone takes them to the end.

    One item for a grant: the latest moment at which its last token can expire. A grant that was revoked shortly
    before the departure counts too, for its tokens may live.
    """

    kind = Item.Kind.ACCESS_TOKEN

    def find(self, case: Case, *, now: datetime) -> list[Item]:
        rows = Grant.objects.filter(person=case.person_id, expires_at__gt=now).select_related("client", "resource")
        found = []
        for grant in rows.order_by("created_at", "pk"):
            ends_at = _last_expiry(grant, case)
            if ends_at > now:
                item = new_item(case, self.kind, str(grant.pk), _title(grant), within=limits.LEAVER_DOOR_DEADLINE)
                item.until = ends_at
                found.append(item)
        return found

    def look(self, case: Case, items: Sequence[Item], *, now: datetime) -> None:  # noqa: ARG002 - the door's signature
        for item in items:
            if item.is_open and item.until is not None:
                settle_unverifiable(item, Item.Code.OFFLINE, until=item.until, now=now)


def _last_expiry(grant: Grant, case: Case) -> datetime:
    last_issue = min(case.left_at, grant.revoked_at) if grant.revoked_at else case.left_at
    return min(grant.expires_at, last_issue + lifetime_of(grant.resource))


def _title(grant: Grant) -> str:
    return f"{grant.client.client_id} for {grant.resource or 'userinfo'} ({grant.grant_type})"
