"""One group made what it should be: its members computed from what the target shows at the time of sending.

Members that nobody of us put there stay, and are counted. Who has no account there yet is awaited.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.utils import timezone

from broker.delivery.models import Delivery
from broker.delivery.outcomes import Outcome, confirmed, failed, retry
from broker.directory.models import Membership
from broker.parts import in_parts
from provisioning.outbound.connectors.base import (
    Connector,
    MembersChange,
    TargetError,
)
from provisioning.outbound.connectors.base import RemoteGroup as GroupThere
from provisioning.outbound.crew import Ask
from provisioning.outbound.models import RemoteAccount, RemoteGroup, Target
from provisioning.outbound.outcomes import outcome_of
from provisioning.outbound.taking import check_unmarked

AWAITED_AGAIN = 300.0
"""Seconds; an account that comes wakes its groups at once."""
RACES = 3


@dataclass(frozen=True, slots=True)
class GroupJob:
    """A delivery of one group."""

    delivery: Delivery
    group: RemoteGroup


@dataclass(slots=True)
class GroupDone:
    """What became of it, and what is to be noted of the group ({column: value})."""

    job: GroupJob
    outcome: Outcome
    noted: dict[str, Any] = field(default_factory=dict)
    was_adopted: bool = False


@dataclass(frozen=True, slots=True)
class Members:
    """By remote ids: who should be in the group, and whose account among those there is one of ours."""

    wanted: frozenset[str]
    ours: frozenset[str]
    awaited: int


class GroupWriter:
    """Brings groups of one target in order."""

    def __init__(self, target: Target, connector: Connector) -> None:
        self._target = target
        self._connector = connector

    def bring(self, job: GroupJob, ask: Ask) -> GroupDone:
        """One group. Raises nothing of the target's."""
        done = GroupDone(job, failed("target.not_offered", "the target keeps no groups"))
        try:
            if job.group.aim == RemoteGroup.Aim.GONE:
                self._delete(done)
            elif self._connector.capabilities.group_method is not None:
                self._keep(done, ask)
        except TargetError as error:
            done.outcome = outcome_of(error, now=timezone.now())
        return done

    def _keep(self, done: GroupDone, ask: Ask) -> None:
        group = done.job.group
        there = self._find(done) or self._create(done)
        if there is None:
            return
        for _ in range(RACES):
            members: Members = ask(_members_of(self._target, group, there.members))
            change = _change(members, there.members)
            if not (change.add or change.remove) and there.name == group.name:
                break
            try:
                self._connector.change_group(there, name=group.name, members=change)
            except TargetError as error:
                if error.code != "target.changed_meanwhile":
                    raise
            done.noted["sent_at"] = timezone.now()
            read = self._connector.read_group(there.remote_id)
            if read is None:
                done.outcome = retry("target.changed_meanwhile", "it is gone after the change", is_unanswered=False)
                return
            there = read
        self._conclude(done, there, members)

    def _conclude(self, done: GroupDone, there: GroupThere, members: Members) -> None:
        """What was read back decides."""
        foreign = len(set(there.members) - members.ours - members.wanted)
        done.noted |= {
            "remote_id": there.remote_id,
            "state": RemoteGroup.State.PRESENT,
            "etag": there.etag,
            "read_at": timezone.now(),
            "read_name": there.name[:256],
            "read_members": len(there.members),
            "awaited_members": members.awaited,
            "foreign_members": foreign,
            "answer_digest": there.answer_digest,
        }
        left = _change(members, there.members)
        if left.add or left.remove or there.name != done.job.group.name:
            detail = f"{len(left.add)} members are missing and {len(left.remove)} too many"
            done.outcome = retry("target.members_differ", detail, status=there.status, is_unanswered=False)
        elif members.awaited:
            detail = f"{members.awaited} members have no account there yet"
            done.outcome = retry("target.members_awaited", detail, status=there.status, is_unanswered=False)
        else:
            detail = f"{len(members.wanted)} members, read back" + (f"; {foreign} others stay" if foreign else "")
            done.outcome = confirmed(there.answer_digest, status=there.status, detail=detail)

    def _find(self, done: GroupDone) -> GroupThere | None:
        group = done.job.group
        if group.remote_id and group.state == RemoteGroup.State.PRESENT:
            there = self._connector.read_group(group.remote_id)
            if there is not None:
                return there
            done.noted |= {"remote_id": "", "state": RemoteGroup.State.ABSENT}
        if not self._connector.capabilities.finds_external_id:
            return self._adopt(done)
        return self._connector.find_group(external_id=str(group.group_uid))

    def _create(self, done: GroupDone) -> GroupThere | None:
        group = done.job.group
        try:
            return self._connector.create_group(group.name, str(group.group_uid))
        except TargetError as error:
            if error.code != "target.conflict":
                raise
            there = self._adopt(done)
            if there is None:
                done.outcome = failed("target.conflict", error.detail, status=error.http_status)
            return there

    def _adopt(self, done: GroupDone) -> GroupThere | None:
        """By its name, unless it carries another externalId than ours: another group's, or another system's."""
        group = done.job.group
        there = self._connector.find_group(name=group.name)
        if there is not None:
            check_unmarked(there.external_id, group.group_uid, adoption=self._target.adoption)
            done.was_adopted = there.external_id != str(group.group_uid)
        return there

    def _delete(self, done: GroupDone) -> None:
        group = done.job.group
        if not group.remote_id or group.state in (RemoteGroup.State.DELETED, RemoteGroup.State.ABSENT):
            there = self._connector.find_group(external_id=str(group.group_uid))
            remote_id = there.remote_id if there else ""
        else:
            remote_id = group.remote_id
        if remote_id:
            held = self._connector.read_group(remote_id) if self._connector.capabilities.wants_if_match else None
            self._connector.delete_group(remote_id, etag=held.etag if held else "")
            done.noted["sent_at"] = timezone.now()
            if (left := self._connector.read_group(remote_id)) is not None:
                done.outcome = retry("target.lied", "it is still there", status=left.status, is_unanswered=False)
                return
        done.noted |= {"state": RemoteGroup.State.DELETED, "read_at": timezone.now(), "read_members": None}
        done.outcome = confirmed("", detail="there is no group")


def _change(members: Members, there: Sequence[str]) -> MembersChange:
    held = set(there)
    add = sorted(members.wanted - held)
    remove = sorted((held & members.ours) - members.wanted)
    return MembersChange(add, remove)


def _members_of(target: Target, group: RemoteGroup, there: Sequence[str]) -> Callable[[], Members]:
    """A question for the carrier: it reads the database."""

    def read() -> Members:
        accounts = RemoteAccount.objects.filter(target=target)
        belonging = accounts.filter(
            person__in=Membership.objects.filter(group__uid=group.group_uid).values("person"),
            aim=RemoteAccount.Aim.PRESENT,
        ).values_list("remote_id", "state")
        held = list(belonging)
        wanted = frozenset(remote_id for remote_id, state in held if remote_id and state == RemoteAccount.State.PRESENT)
        ours: set[str] = set()
        size = min(connection.features.max_query_params or 10_000, 10_000) - 10
        for part in in_parts(there, size):
            ours.update(accounts.filter(remote_id__in=part).values_list("remote_id", flat=True))
        return Members(wanted, frozenset(ours), len(held) - len(wanted))

    return read
