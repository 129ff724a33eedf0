"""Catching up with a target that was switched on again, or emptied: nobody asked for what it lacks now.

Chunk by chunk, each a transaction that notes its place, so that what a killed process left is taken up where it stood.
A target at which we keep no account yet is not filled by a switch: that is for a plan which somebody reads.
"""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM, Actor
from broker.bell import ring
from broker.delivery.models import Priority
from broker.directory.models import Person
from broker.events import catalogue
from broker.events.services import record
from provisioning.outbound.models import CatchUp, RemoteGroup, Target
from provisioning.outbound.outdated import new_people, unsettled_people
from provisioning.outbound.reading import follow_people
from provisioning.outbound.services import kept_groups, request_group_sync

CARRY = "provisioning.outbound.tasks.carry_catch_up"
IDLE = "target.not_in_use"
Stage = CatchUp.Stage
_PEOPLE: dict[str, tuple[Callable[[Target], QuerySet[Person]], Stage]] = {
    Stage.KNOWN: (unsettled_people, Stage.NEW),
    Stage.NEW: (new_people, Stage.GROUPS),
}
"""Whom a stage looks at, and what comes after it."""


class PlaceLost(Exception):
    """Another process went on, or the target was switched on anew: nothing of the chunk was written."""


def ask_to_catch_up(target: Target, *, actor: Actor, now: datetime) -> CatchUp | None:
    """Begin anew with everybody, in the caller's transaction. None where we keep no account there yet."""
    if not target.accounts.exists():
        return None
    begun = {
        "asked_at": now,
        "asked_by": f"{actor.kind}:{actor.identifier}"[:220],
        "trace_id": actor.trace_id,
        "stage": Stage.KNOWN,
        "position": None,
        "people": 0,
        "enqueued": 0,
        "ended_at": None,
        "code": "",
    }
    found, _ = CatchUp.objects.update_or_create(target=target, defaults=begun)
    ring(CARRY, str(found.pk))
    return found


def unfinished() -> list[int]:
    """Those that have not come to their end, whether or not somebody works on them."""
    return list(CatchUp.objects.filter(ended_at=None).order_by("pk").values_list("pk", flat=True))


def carry_on(catch_up_id: int, *, until: datetime) -> bool:
    """Work through chunks until about `until`. Returns whether there is more to do, and nobody else does it."""
    while True:
        try:
            is_over = _chunk(catch_up_id)
        except PlaceLost:
            return False
        if is_over:
            return False
        if timezone.now() >= until:
            return True


@transaction.atomic
def _chunk(catch_up_id: int) -> bool:
    """The next chunk. Returns whether that was the last."""
    found = CatchUp.objects.select_related("target__application").filter(pk=catch_up_id, ended_at=None).first()
    if found is None:
        return True
    target = found.target
    if not target.is_in_use:
        _move(found, stage=Stage.ENDED, code=IDLE)
    elif found.stage == Stage.GROUPS:
        _move(found, stage=Stage.ENDED, enqueued=found.enqueued + _ask_for_groups(found))
    else:
        people, following = _PEOPLE[found.stage]
        ids = _after(people(target), found.position)
        if not ids:
            _move(found, stage=following, position=None)
        else:
            actor = Actor(SYSTEM.kind, SYSTEM.identifier, trace_id=found.trace_id)
            asked = follow_people(target, ids, actor=actor, reference=found.reference)
            _move(found, position=ids[-1], people=found.people + len(ids), enqueued=found.enqueued + asked)
    return found.stage == Stage.ENDED


def _after(people: QuerySet[Person], position: UUID | None) -> list[UUID]:
    later = people if position is None else people.filter(pk__gt=position)
    return list(later.order_by("pk").values_list("pk", flat=True)[: limits.TARGET_CHUNK])


def _ask_for_groups(found: CatchUp) -> int:
    target = found.target
    kept = kept_groups(target).exclude(uid=None).values_list("uid", flat=True)
    uids = {*kept, *RemoteGroup.objects.filter(target=target).values_list("group_uid", flat=True)}
    if target.group_strategy == Target.GroupStrategy.NONE or not uids:
        return 0
    actor = Actor(SYSTEM.kind, SYSTEM.identifier, trace_id=found.trace_id)
    ordered = sorted((uid for uid in uids if uid is not None), key=str)
    return request_group_sync(target, ordered, priority=Priority.NORMAL, actor=actor, reference=found.reference)


def _move(found: CatchUp, **changes: object) -> None:
    """Note the place, last of all: whoever was quicker wins, and this chunk is undone. Raises PlaceLost."""
    if changes.get("stage") == Stage.ENDED:
        changes["ended_at"] = timezone.now()
    mine = CatchUp.objects.filter(
        pk=found.pk, asked_at=found.asked_at, stage=found.stage, position=found.position, ended_at=None
    )
    if not mine.update(**changes):
        raise PlaceLost
    for name, value in changes.items():
        setattr(found, name, value)
    if found.ended_at is not None:
        record(
            catalogue.TARGET_CAUGHT_UP,
            actor=SYSTEM,
            subject=("target", found.target.slug),
            application=found.target.application.slug,
            code=found.code,
            asked_by=found.asked_by,
            people=found.people,
            deliveries=found.enqueued,
        )
