"""Following the book: who changed, and which groups, and what that means at each target. No network, and idempotent.

settings.EVENT_READERS names `read_events` for person.* and group.*.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from broker.actors import SYSTEM, Actor
from broker.delivery.enqueueing import enqueue
from broker.delivery.models import Delivery, Priority
from broker.directory.models import Group
from broker.events.models import Event
from provisioning.outbound.breaker import hold_for
from provisioning.outbound.models import RemoteAccount, RemoteGroup, Target
from provisioning.outbound.services import (
    CLOSINGS,
    KIND,
    chunks,
    delivery_for,
    is_settled,
    refresh_accounts,
    request_group_sync,
)

CAUSES = 20
"""Above as many traces in one batch, what they ask for is asked for together, and names no single cause."""


def read_events(events: Sequence[Event]) -> None:
    """Ask for the accounts and groups that these events speak of, at every target in use."""
    live = Target.objects.filter(enabled=True, retired_at=None).select_related("application")
    targets = list(live.order_by("slug"))  # everybody in the same order, so that nobody waits for each other
    if not targets:
        return
    for cause, people, groups in _told(events):
        for target in targets:
            follow_people(target, people, cause=cause)
            follow_groups(target, groups, people, cause=cause)


def follow_people(
    target: Target,
    person_ids: Iterable[UUID],
    *,
    cause: Event | None = None,
    actor: Actor = SYSTEM,
    reference: str = "",
) -> int:
    """Ask for what changed at the target. What closes goes first, and waits where the breaker says so.

    Returns how many rows were enqueued.
    """
    enqueued = 0
    for chunk in chunks(person_ids):
        with transaction.atomic():
            found = refresh_accounts(target, chunk)
            asked = [
                account
                for account, has_changed in found
                if account.aim != RemoteAccount.Aim.LEFT and (has_changed or not is_settled(account))
            ]
            changed = {account.person_id for account, has_changed in found if has_changed}
            hold = hold_for(target, destructive=_new_closings(target, asked, changed), now=timezone.now())
            rows = [
                delivery_for(
                    target,
                    account,
                    Priority.URGENT if account.aim in CLOSINGS else Priority.NORMAL,
                    reference=reference,
                    hold=hold,
                )
                for account in asked
            ]
            enqueued += len(enqueue(KIND, rows, actor=actor, cause=cause))
    return enqueued


def _new_closings(target: Target, asked: Sequence[RemoteAccount], changed: set[UUID]) -> int:
    """How many accounts lose something that nobody asked for before: what is under way was counted then.

    One that was asked for and given up, or refused by an operator, is asked for anew.
    """
    closing = {f"person:{one.person_id}": one.person_id for one in asked if one.aim in CLOSINGS}
    again = [subject for subject, person in closing.items() if person not in changed]
    if not again:
        return len(closing)
    waiting = Delivery.objects.filter(lane=target.lane, kind=KIND, subject__in=again, settled_at=None)
    return len(closing) - waiting.values("subject").distinct().count()


def follow_groups(
    target: Target, group_uids: Iterable[UUID], person_ids: Iterable[UUID], *, cause: Event | None
) -> int:
    """Ask for these groups, and for those that these people are in, where the target keeps groups."""
    if target.group_strategy == Target.GroupStrategy.NONE:
        return 0
    known = set(RemoteGroup.objects.filter(target=target).values_list("group_uid", flat=True))
    named = set(group_uids)
    kept = Group.objects.filter(uid__in=named | known, memberships__person__in=list(person_ids))
    wanted = named | {uid for uid in kept.values_list("uid", flat=True).distinct() if uid}
    return request_group_sync(target, sorted(wanted, key=str), priority=Priority.NORMAL, actor=SYSTEM, cause=cause)


def _told(events: Sequence[Event]) -> list[tuple[Event | None, list[UUID], list[UUID]]]:
    """Whom the events speak of: by their trace, or all together where there are many."""
    if len({event.trace_id for event in events}) > CAUSES:
        return [(None, *_named(events))]
    ordered = sorted(events, key=lambda event: (event.trace_id, event.pk or 0))
    parts = [list(part) for _, part in groupby(ordered, key=lambda event: event.trace_id)]
    return [(part[0], *_named(part)) for part in parts]


def _named(events: Sequence[Event]) -> tuple[list[UUID], list[UUID]]:
    """The people and the groups of these events, each once."""
    people: list[str] = []
    groups: list[str] = []
    for event in events:
        if event.subject_kind == "person":
            people.append(event.subject_id)
        elif event.subject_kind == "group":
            groups.append(event.subject_id)
        people += event.details.get("people", ())
    return _uuids(people), _uuids(groups)


def _uuids(texts: Iterable[str]) -> list[UUID]:
    found = []
    for text in dict.fromkeys(texts):
        try:
            found.append(UUID(str(text)))
        except ValueError:
            continue
    return found
