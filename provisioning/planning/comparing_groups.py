"""Comparing the groups that a run read, and their members, with ours: one group at a time."""

import json
from collections.abc import Iterable, Iterator
from uuid import UUID

from broker import limits
from broker.directory.models import Group, Membership, Person
from broker.parts import in_parts
from provisioning.outbound.models import RemoteAccount, RemoteGroup, Target
from provisioning.outbound.taking import is_marked
from provisioning.planning.differing import MARKED, Action, Difference, Kind
from provisioning.planning.models import FoundGroup, Run

GROUPS_AT_ONCE = 50


class GroupComparison:
    """The groups of one run beside ours. Groups there that we do not keep are the target's own and not looked at."""

    def __init__(self, run: Run, target: Target) -> None:
        self.run = run
        self.target = target

    def differences(self) -> Iterator[list[Difference]]:
        """Everything that differs about the groups that we keep there, or kept."""
        ours = RemoteGroup.objects.filter(target=self.target).order_by("pk")
        last = 0
        while rows := list(ours.filter(pk__gt=last)[:GROUPS_AT_ONCE]):
            last = rows[-1].pk
            kept = Group.objects.filter(uid__in=[row.group_uid for row in rows]).values_list("uid", "pk")
            groups = dict(kept)
            yield [one for row in rows if (one := self._compare(row, groups.get(row.group_uid))) is not None]

    def _compare(self, row: RemoteGroup, group: int | None) -> Difference | None:
        found = self._find(row)
        if row.sent_at is not None and row.sent_at >= (found.read_at if found else self.run.began_at):
            return None
        key = f"group:{row.group_uid}"
        if row.aim == RemoteGroup.Aim.GONE:
            if found is None:
                return None
            weight = max(1, len(json.loads(found.members)))
            return Difference(
                Kind.ORPHAN,
                Action.DELETE,
                key,
                row.name,
                group_uid=row.group_uid,
                remote_id=found.remote_id,
                weight=weight,
            )
        if found is None:
            return Difference(Kind.MISSING, Action.CREATE, key, row.name, group_uid=row.group_uid)
        if found.remote_id != row.remote_id and is_marked(
            found.external_id, row.group_uid, adoption=self.target.adoption
        ):
            return Difference(Kind.MISSING, Action.NONE, key, row.name, group_uid=row.group_uid, reason=MARKED)
        return self._members(row, found, group, key)

    def _find(self, row: RemoteGroup) -> FoundGroup | None:
        """By the id that we know, then by ours, then by the only one of its name."""
        read = FoundGroup.objects.filter(run=self.run)
        if row.remote_id and (found := read.filter(remote_id=row.remote_id).first()):
            return found
        if found := read.filter(external_id=str(row.group_uid)).first():
            return found
        namesakes = list(read.filter(name=row.name)[:2])
        return namesakes[0] if len(namesakes) == 1 and not self._is_known(namesakes[0]) else None

    def _is_known(self, found: FoundGroup) -> bool:
        return RemoteGroup.objects.filter(target=self.target, remote_id=found.remote_id).exists()

    def _members(self, row: RemoteGroup, found: FoundGroup, group: int | None, key: str) -> Difference | None:
        there = set(json.loads(found.members))
        members = Membership.objects.filter(group=group).values("person")
        accounts = RemoteAccount.objects.filter(target=self.target, aim=RemoteAccount.Aim.PRESENT, person__in=members)
        wanted = dict(accounts.exclude(remote_id="").values_list("remote_id", "person_id"))
        owned = self._owned(there - wanted.keys())
        missing = {remote_id: wanted[remote_id] for remote_id in wanted.keys() - there}
        foreign = len(there) - (len(wanted) - len(missing)) - len(owned)
        differs: dict[str, list[object]] = {}
        if found.name != row.name:
            differs["displayName"] = [found.name, row.name]
        if missing:
            differs["members to come"] = [len(missing), _named(missing.values())]
        if owned:
            differs["members to go"] = [len(owned), _named(owned.values())]
        if foreign:
            differs["members that are none of ours"] = [foreign, "left alone"]
        adopts = found.remote_id != row.remote_id
        if not differs and not adopts:
            return None
        touches = adopts or any(name != "members that are none of ours" for name in differs)
        return Difference(
            Kind.CHANGED if "displayName" in differs or adopts else Kind.MEMBER,
            (Action.ADOPT if adopts else Action.UPDATE) if touches else Action.NONE,
            key,
            row.name,
            group_uid=row.group_uid,
            remote_id=found.remote_id,
            differences=differs,
            weight=self._weight(len(owned), len(there)),
            reason="" if touches else "members that are none of ours are left alone",
        )

    def _owned(self, remote_ids: set[str]) -> dict[str, UUID]:
        """{id there: person} of those accounts that are ours."""
        found: dict[str, UUID] = {}
        for ids in in_parts(sorted(remote_ids), limits.PLAN_CHUNK):
            rows = RemoteAccount.objects.filter(target=self.target, remote_id__in=ids)
            found |= dict(rows.values_list("remote_id", "person_id"))
        return found

    def _weight(self, leaving: int, there: int) -> int:
        """A few who leave a group are an ordinary day; when most of its members go, each of them counts."""
        return leaving if leaving > max(limits.BREAKER_SMALLEST, self.target.breaker_share * there) else 0


def _named(people: Iterable[UUID]) -> str:
    """Some of them by name, and how many more."""
    ids = sorted(people)
    shown = Person.objects.filter(pk__in=ids[: limits.PLAN_NAMES]).order_by("name", "pk")
    names = ", ".join(str(one) for one in shown)
    more = len(ids) - limits.PLAN_NAMES
    return f"{names} and {more} more" if more > 0 else names
