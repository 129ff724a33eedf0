"""Accounts at targets: closed by the room of targets, and believed only once they were read back closed.

Every target has an item, also where the person has no account as far as we know: that is read as well. A settled
account is read again later, since access comes back; then the item is open again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.enqueueing import NewDelivery, enqueue
from broker.delivery.models import Delivery, Priority
from provisioning.leaver.digests import time_text
from provisioning.leaver.doors.base import new_item, reopen
from provisioning.leaver.doors.giving_up import note_given_up
from provisioning.leaver.doors.ledger import UNFINISHED, keep_proof, rows_of
from provisioning.leaver.models import Case, Item
from provisioning.leaver.seen import KIND, Seen
from provisioning.outbound.breaker import hold_for
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.outbound.models.remote import GONE_STATES
from provisioning.outbound.services import request_sync

Code, State = Item.Code, RemoteAccount.State
CLOSED = {State.DISABLED: Code.INACTIVE, State.DELETED: Code.ABSENT, State.ABSENT: Code.ABSENT}
SYNC = "scim"


@dataclass(frozen=True, slots=True)
class Place:
    """What we know of one target: its account, the ledger's rows that shall close it, and those that only read."""

    target: Target
    account: RemoteAccount | None
    syncs: Sequence[Delivery]
    readings: Sequence[Delivery]

    @property
    def is_being_closed(self) -> bool:
        return any(row.state in UNFINISHED for row in self.syncs)


class TargetDoor:
    """One item for each target in use, and for one switched off where the person has an account."""

    kind = Item.Kind.TARGET

    def find(self, case: Case, *, now: datetime) -> list[Item]:  # noqa: ARG002 - the door's signature
        there = RemoteAccount.objects.filter(person=case.person_id).exclude(state__in=[State.ABSENT, State.DELETED])
        targets = Target.objects.filter(
            Q(enabled=True, retired_at=None) | Q(pk__in=list(there.values_list("target_id", flat=True)))
        )
        return [
            new_item(
                case,
                self.kind,
                target.slug if target.retired_at is None else f"{target.slug}@{target.pk}",
                f"target {target.slug} ({target.name})",
                within=timedelta(seconds=target.leaver_deadline),
            )
            for target in targets.order_by("slug", "pk")
        ]

    def look(self, case: Case, items: Sequence[Item], *, now: datetime) -> None:
        places = places_of(case, items)
        for item in items:
            place = places.get(item.reference)
            if place is None:
                continue
            _take_reading(item, place, case, now=now)
            if item.is_open:
                _look_at_open(item, place, now=now)
            if item.reading is None and _reads_now(item, place, now=now):
                item.reading = _ask_to_read(item, place, case)


def _look_at_open(item: Item, place: Place, *, now: datetime) -> None:
    if not place.target.is_in_use:
        item.code = Code.SWITCHED_OFF
        return
    confirmed = _closing_row(item, place)
    if confirmed is not None and place.account is not None:
        account = place.account
        evidence = {
            "account": str(account.state),
            "active": account.read_active,
            "read_at": time_text(account.read_at),
            "answer": account.answer_digest,
        }
        _settle(item, CLOSED.get(State(account.state), Code.INACTIVE), confirmed, evidence)
        return
    if place.target.leaver_policy == Target.LeaverPolicy.KEEP:
        item.code = Code.KEPT
    elif any(row.reason == Code.LIED and row.settled_at is None for row in place.syncs):
        item.code = Code.LIED
        item.lied_at = item.lied_at or now
    elif any(row.hold and row.settled_at is None for row in place.syncs):
        item.code = Code.HELD
    elif note_given_up(item, next(iter(place.syncs), None)):
        return
    elif item.code not in (Code.RETURNED, Code.LIED, Code.STILL_ACTIVE):
        item.code = Code.WAITING


def _closing_row(item: Item, place: Place) -> Delivery | None:
    """The row that was confirmed after `since` by the very answer in which the account reads closed; None without."""
    account = place.account
    if account is None or account.read_at is None or account.read_at < item.since:
        return None
    if account.read_active is not False and account.state not in GONE_STATES:
        return None
    for row in place.syncs:
        is_newer = row.settled_at is not None and row.settled_at >= item.since
        if row.state == Delivery.State.CONFIRMED and is_newer and row.digest and row.digest == account.answer_digest:
            return row
    return None


def _take_reading(item: Item, place: Place, case: Case, *, now: datetime) -> None:
    """What a reading of ours came to, once it is over."""
    row = next((one for one in place.readings if one.pk == item.reading), None)
    if item.reading is None or (row is not None and row.settled_at is None):
        return
    item.reading = None
    if row is None or row.state != Delivery.State.CONFIRMED or row.settled_at is None:
        # The target could not be read, and the ledger tried often enough.
        item.read_next_at = None if item.is_open else now + limits.LEAVER_REREAD_RETRY
        return
    seen = row.detail
    if item.is_open:
        if row.settled_at < item.since:
            return
        if seen == Seen.ACTIVE:
            item.code = Code.STILL_ACTIVE if item.code == Code.WAITING else item.code
            if item.code != Code.REFUSED:
                ask_to_close(place, case, now=now)
        else:
            code = Code.INACTIVE if seen == Seen.INACTIVE else Code.ABSENT if place.account else Code.NO_ACCOUNT
            _settle(item, code, row, {"account": seen})
        return
    item.read_again_at, item.read_again_delivery = row.settled_at, row.pk
    keep_proof(item, row)
    if seen == Seen.ACTIVE:
        since = row.settled_at
        reopen(item, Code.RETURNED)
        item.returned_at, item.since = now, since
        item.deadline = since + timedelta(seconds=place.target.leaver_deadline)
        item.read_next_at = None
        ask_to_close(place, case, now=now)
        return
    item.reread = max(item.reread, _rereads_until(item, row.settled_at))
    _schedule(item)


def _settle(item: Item, code: Item.Code, row: Delivery, evidence: Mapping[str, object]) -> None:
    item.state, item.code, item.settled_at = Item.State.READ_BACK, code, row.settled_at
    item.evidence, item.delivery, item.digest = dict(evidence), row.pk, row.digest
    item.proof, item.note = {}, ""
    keep_proof(item, row)
    item.reread = 0
    _schedule(item)


def _schedule(item: Item) -> None:
    plan = limits.LEAVER_REREADS
    settled_at = item.settled_at
    item.read_next_at = settled_at + plan[item.reread] if settled_at and item.reread < len(plan) else None


def _rereads_until(item: Item, read_at: datetime) -> int:
    """How many readings of the plan this one stands for: one that somebody asked for earlier takes nobody's place."""
    return sum(item.settled_at is not None and item.settled_at + wait <= read_at for wait in limits.LEAVER_REREADS)


def _reads_now(item: Item, place: Place, *, now: datetime) -> bool:
    """Whether it is time to read: a settled account by its plan, an open one that nobody is closing."""
    if not place.target.is_in_use:
        return False
    if not item.is_open:
        return _was_seen_open(item, place.account) or (item.read_next_at is not None and now >= item.read_next_at)
    if place.is_being_closed or item.code == Code.KEPT:
        return False
    if place.account is None:
        return True
    last = max((row.settled_at for row in place.readings if row.settled_at), default=item.since)
    # Nobody closes what was refused, for as long as that lasts, and there may be many of them.
    is_refused = item.code == Code.REFUSED
    return now >= last + (limits.LEAVER_REREAD_RETRY if is_refused else limits.LEAVER_READ_PAUSE)


def _was_seen_open(item: Item, account: RemoteAccount | None) -> bool:
    """Whether others who read the target saw the account open since it was settled."""
    if account is None or account.read_at is None or item.settled_at is None:
        return False
    return account.read_active is True and account.read_at > item.settled_at


def _ask_to_read(item: Item, place: Place, case: Case) -> int:
    rows = enqueue(
        KIND,
        [
            NewDelivery(
                lane=place.target.lane,
                subject=f"leaver:{case.pk}",
                payload={"person": str(case.person_id)},
                priority=Priority.URGENT if item.is_open else Priority.NORMAL,
                reference=f"leaver:{case.pk}",
                title=f"read a leaver's account at {place.target.slug}",
                must_arrive=item.is_open,
            )
        ],
        actor=SYSTEM,
    )
    if not item.is_open:
        item.read_next_at = None
    return rows[0].pk


def ask_to_close(place: Place, case: Case, *, now: datetime) -> None:
    """Through the breaker like every other closing; nothing where it is under way, or kept by policy."""
    if not place.is_being_closed and place.target.leaver_policy != Target.LeaverPolicy.KEEP:
        request_sync(
            place.target,
            [UUID(str(case.person_id))],
            priority=Priority.URGENT,
            actor=SYSTEM,
            reference=f"leaver:{case.pk}",
            hold=hold_for(place.target, destructive=1, now=now),
            force=True,  # by what was last read it is closed
        )


def places_of(case: Case, items: Sequence[Item]) -> dict[str, Place]:
    """{item's reference: what we know of its target}"""
    targets = _targets([item.reference for item in items])
    accounts = {
        account.target_id: account
        for account in RemoteAccount.objects.filter(person=case.person_id, target__in=list(targets.values()))
    }
    lanes = {target.lane for target in targets.values()}
    syncs = rows_of(SYNC, f"person:{case.person_id}", lanes)
    readings = rows_of(KIND, f"leaver:{case.pk}", lanes)
    return {
        reference: Place(target, accounts.get(target.pk), syncs.get(target.lane, ()), readings.get(target.lane, ()))
        for reference, target in targets.items()
    }


def _targets(references: Sequence[str]) -> dict[str, Target]:
    """By slug, of which the one in use counts, else the newest; one that had been retired before is named by its id."""
    by_id = {reference: reference.partition("@")[2] for reference in references if "@" in reference}
    rows = Target.objects.filter(Q(slug__in=references) | Q(pk__in=list(by_id.values())))
    found: dict[str, Target] = {}
    for target in rows.order_by("pk"):
        named = f"{target.slug}@{target.pk}"
        if named in by_id:
            found[named] = target
        if target.slug in references and (target.retired_at is None or target.slug not in found):
            found[target.slug] = target
    return found
