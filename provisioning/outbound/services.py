"""Asking for accounts and groups at a target: what is wanted is noted, and a row of the ledger wakes whoever sends it.

What is sent is computed when it is sent, so a row says only whose account or which group is meant.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from broker import limits
from broker.actors import Actor
from broker.delivery.enqueueing import NewDelivery, enqueue
from broker.delivery.models import Priority
from broker.directory.models import Group, Person
from broker.events.models import Event
from broker.parts import in_parts
from provisioning.outbound.columns import write_columns
from provisioning.outbound.models import RemoteAccount, RemoteGroup, Target
from provisioning.outbound.models.remote import GONE_STATES
from provisioning.outbound.scope import group_condition
from provisioning.outbound.wanted import Wanted, wanted_accounts

KIND = "scim"
SWITCHED_OFF = "the target is switched off here"
"""Why its lane waits."""
Aim, State = RemoteAccount.Aim, RemoteAccount.State
CLOSINGS = (Aim.DISABLED, Aim.GONE)
CLOSED_STATES = (State.DISABLED, *GONE_STATES)
_TITLES = {
    Aim.PRESENT: "Keep the account",
    Aim.DISABLED: "Close the account",
    Aim.GONE: "Delete the account",
}
_WANTED_COLUMNS = ["aim", "wanted_digest", "wanted_active", "wanted_at", "wanted_version"]


def request_sync(
    target: Target,
    person_ids: Sequence[UUID],
    *,
    priority: Priority,
    actor: Actor,
    cause: Event | None = None,
    reference: str = "",
    hold: str = "",
    force: bool = False,
) -> int:
    """Make the accounts of these people at the target what they should be. Returns how many rows were enqueued.

    Accounts that are as they should be, as far as was read, get none unless `force`. `hold` keeps back only what
    closes or deletes an account.
    """
    if not target.is_in_use:
        return 0
    enqueued = 0
    for chunk in chunks(person_ids):
        with transaction.atomic():
            asked = [
                account
                for account, has_changed in refresh_accounts(target, chunk)
                if account.aim != Aim.LEFT and (force or has_changed or not is_settled(account))
            ]
            enqueued += len(
                enqueue(
                    KIND,
                    [delivery_for(target, account, priority, reference, hold) for account in asked],
                    actor=actor,
                    cause=cause,
                )
            )
    return enqueued


def refresh_wanted(target: Target, person_ids: Sequence[UUID]) -> int:
    """Note what should be there of these people, and send nothing. Returns how many accounts changed their aim."""
    changed = 0
    for chunk in chunks(person_ids):
        with transaction.atomic():
            changed += sum(has_changed for _, has_changed in refresh_accounts(target, chunk))
    return changed


def request_group_sync(
    target: Target,
    group_uids: Sequence[UUID],
    *,
    priority: Priority,
    actor: Actor,
    cause: Event | None = None,
    reference: str = "",
    hold: str = "",
) -> int:
    """Make these groups at the target what they should be; those that are not kept there any more are deleted.

    Returns how many rows were enqueued. `hold` keeps back each of them.
    """
    if not target.is_in_use:
        return 0
    enqueued = 0
    for chunk in chunks(group_uids):
        with transaction.atomic():
            rows = [
                NewDelivery(
                    lane=target.lane,
                    subject=f"group:{group.group_uid}",
                    priority=priority,
                    reference=reference,
                    title="Keep the group" if group.aim == RemoteGroup.Aim.PRESENT else "Delete the group",
                    hold=hold,
                )
                for group in refresh_groups(target, chunk)
            ]
            enqueued += len(enqueue(KIND, rows, actor=actor, cause=cause))
    return enqueued


def kept_groups(target: Target) -> QuerySet[Group]:
    """The groups that the target shall have."""
    if target.group_strategy == Target.GroupStrategy.NONE or not target.groups:
        return Group.objects.none()
    return Group.objects.filter(group_condition(target.groups))


def refresh_groups(target: Target, group_uids: Sequence[UUID]) -> list[RemoteGroup]:
    """Note which of these groups should be there, and return the rows of those that are, or were."""
    now = timezone.now()
    rows = {
        row.group_uid: row
        for row in RemoteGroup.objects.select_for_update()
        .filter(target=target, group_uid__in=group_uids)
        .order_by("group_uid")
    }
    kept = dict(kept_groups(target).filter(uid__in=group_uids).values_list("uid", "name"))
    for uid in group_uids:
        row = rows.get(uid)
        if uid in kept and row is None:
            rows[uid] = RemoteGroup.objects.create(
                target=target, group_uid=uid, name=kept[uid], aim=RemoteGroup.Aim.PRESENT, wanted_at=now
            )
        elif row is not None:
            aim = RemoteGroup.Aim.PRESENT if uid in kept else RemoteGroup.Aim.GONE
            name = kept.get(uid, row.name)
            if (row.aim, row.name) != (aim, name):
                row.wanted_at = row.wanted_at if row.aim == aim else now
                row.aim, row.name, row.version = aim, name, row.version + 1
                row.save(update_fields=["aim", "name", "wanted_at", "version"])
    return list(rows.values())


def forget_wanted(target: Target) -> int:
    """The mapping, the scope or the policy changed: what was wanted is to be computed anew."""
    return RemoteAccount.objects.filter(target=target).update(wanted_version=None)


def is_settled(account: RemoteAccount) -> bool:
    """Whether the account was last read as it should be."""
    if account.aim == Aim.PRESENT:
        # What a bulk created was sent and not read; whatever is read later counts more.
        shown = account.read_digest or account.sent_digest
        is_open = account.read_active is True or not account.read_digest
        return account.state == State.PRESENT and is_open and shown == account.wanted_digest
    if account.aim == Aim.DISABLED:
        return account.state in CLOSED_STATES and account.read_at is not None
    return account.aim == Aim.LEFT or (account.state in GONE_STATES and account.read_at is not None)


def assign_wanted(account: RemoteAccount, wanted: Wanted, *, now: datetime) -> bool:
    """Set what is wanted on the row, unsaved. Returns whether anything is wanted otherwise than before."""
    active = wanted.active if wanted.should_exist else None
    before = (account.aim, account.wanted_digest, account.wanted_active)
    if account.aim != wanted.aim:
        account.wanted_at = now
    account.aim, account.wanted_digest, account.wanted_active = wanted.aim, wanted.digest, active
    account.wanted_version = wanted.version
    return before != (account.aim, account.wanted_digest, account.wanted_active)


def chunks(ids: Iterable[UUID]) -> Iterable[list[UUID]]:
    """In parts that one statement takes, each id once."""
    return in_parts(dict.fromkeys(ids), limits.TARGET_CHUNK)


def refresh_accounts(target: Target, person_ids: Sequence[UUID]) -> list[tuple[RemoteAccount, bool]]:
    """The accounts of these people with what is wanted of them, and whether that changed.

    The accounts are locked before the people are read: what is noted last was also read last.
    """
    now = timezone.now()
    held = {
        account.person_id: account
        for account in RemoteAccount.objects.select_for_update()
        .filter(target=target, person__in=person_ids)
        .order_by("person_id")
    }
    people = list(Person.objects.filter(pk__in=person_ids))
    found: list[tuple[RemoteAccount, bool]] = []
    written: list[RemoteAccount] = []
    for person_id, wanted in wanted_accounts(target, people).items():
        account = held.get(person_id)
        if account is None:
            if not wanted.belongs or wanted.aim == Aim.LEFT:
                continue
            account = RemoteAccount(target=target, person_id=person_id, aim="", wanted_at=now)
        before = account.wanted_version
        has_changed = assign_wanted(account, wanted, now=now)
        if has_changed or before != account.wanted_version:
            written.append(account)
        found.append((account, has_changed))
    write_columns([account for account in written if account.pk is not None], _WANTED_COLUMNS)
    RemoteAccount.objects.bulk_create(
        [account for account in written if account.pk is None],
        update_conflicts=True,  # somebody else may have asked for the same in between
        unique_fields=["target", "person"],
        update_fields=_WANTED_COLUMNS,
    )
    return found


def delivery_for(
    target: Target, account: RemoteAccount, priority: Priority, reference: str = "", hold: str = ""
) -> NewDelivery:
    """The row of the ledger for an account. What closes or deletes has to arrive, and may be held."""
    is_closing = account.aim in CLOSINGS
    return NewDelivery(
        lane=target.lane,
        subject=f"person:{account.person_id}",
        priority=priority,
        reference=reference,
        title=_TITLES[Aim(account.aim)],
        must_arrive=is_closing,
        hold=hold if is_closing else "",
        # Who is to have the account again is not kept waiting, or refused, for the closing that was held.
        takes_hold=is_closing,
    )
