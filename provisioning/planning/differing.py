"""One difference between a target and what should be there, as plans and reconciliations tell of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from provisioning.outbound.models import RemoteAccount
from provisioning.outbound.wanted import Wanted
from provisioning.planning.models import Drift, Operation

MARKED = "what has this name there carries another system's externalId"
"""Why nothing is made or adopted; see Target.Adoption."""
Action, Kind, Aim = Operation.Action, Drift.Kind, RemoteAccount.Aim


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs about one account or group, and what would be done about it.

    `differences` is {attribute: [as it is there, as it shall be]}; `weight` counts the accounts that lose something.
    `reason` says why nothing would be done.
    """

    kind: Drift.Kind
    action: Operation.Action
    key: str
    title: str
    person_id: UUID | None = None
    group_uid: UUID | None = None
    remote_id: str = ""
    differences: Mapping[str, list[Any]] = field(default_factory=dict)
    weight: int = 0
    reason: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether it is about somebody or something of ours, so that it may be touched."""
        return self.person_id is not None or self.group_uid is not None


def about_account(
    wanted: Wanted,
    *,
    is_employed: bool,
    remote_id: str,
    active: bool | None,
    differs: Mapping[str, list[Any]],
    adopts: bool = False,
) -> Difference | None:
    """What is to be done about an account that stands there; None when it is as it should be.

    `is_employed` says whether the person's account with us is open; `differs` is of what the mapping writes;
    `adopts` whether we did not know that the account is this person's.
    """
    if wanted.aim == Aim.LEFT or (wanted.aim == Aim.DISABLED and active is False):
        return None
    title = str(wanted.document.get("userName", remote_id))
    key = f"person:{wanted.person_id}"
    if wanted.aim != Aim.PRESENT:
        kind = Kind.ORPHAN if is_employed or wanted.aim == Aim.GONE else Kind.ACTIVE
        action = Action.DELETE if wanted.aim == Aim.GONE else Action.DISABLE
        gone = {"active": [active, False]} if action == Action.DISABLE else {}
        return Difference(kind, action, key, title, wanted.person_id, None, remote_id, gone, weight=1)
    told = dict(differs) | ({"active": [False, True]} if active is False else {})
    if not told and not adopts:
        return None
    action = Action.ADOPT if adopts else Action.UPDATE
    return Difference(Kind.CHANGED, action, key, title, wanted.person_id, None, remote_id, told)


def about_missing(wanted: Wanted, *, told: Mapping[str, list[Any]], hindrance: str = "") -> Difference | None:
    """What is to be done about an account that does not stand there; None when none should.

    `hindrance` says why it cannot be made.
    """
    if wanted.aim != Aim.PRESENT:
        return None
    key, title = f"person:{wanted.person_id}", str(wanted.document.get("userName", wanted.person_id))
    reason = wanted.fault or hindrance
    action = Action.NONE if reason else Action.CREATE
    return Difference(Kind.MISSING, action, key, title, wanted.person_id, differences=told, reason=reason)


def about_shadow(remote_id: str, *, title: str, reason: str) -> Difference:
    """An account that nobody of ours explains: it is told of, and never touched."""
    return Difference(
        Kind.SHADOW, Action.NONE, f"remote:{remote_id}", title or remote_id, remote_id=remote_id, reason=reason
    )


def there_then_ours(differs: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    """{attribute: [as it is there, as it shall be]} of {attribute: [ours, theirs]}."""
    return {name: [theirs, ours] for name, (ours, theirs) in differs.items()}
