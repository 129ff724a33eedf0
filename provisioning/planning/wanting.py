"""What should be at a target, brought up to date: an event that was lost must not stay lost."""

from collections.abc import Iterator
from uuid import UUID

from broker import limits
from provisioning.outbound.models import Target
from provisioning.outbound.outdated import new_people, outdated_people
from provisioning.outbound.services import kept_groups, refresh_groups, refresh_wanted


def bring_up_to_date(target: Target) -> Iterator[int]:
    """Work out anew what is wanted of whoever changed since it was last worked out. Yields people looked at so far."""
    looked_at = 0
    for ids in _chunks_outdated(target):
        refresh_wanted(target, ids)
        looked_at += len(ids)
        yield looked_at
    refresh_groups(target, [group.uid for group in kept_groups(target) if group.uid is not None])


def _chunks_outdated(target: Target) -> Iterator[list[UUID]]:
    """People in chunks, each once: a person whose account cannot be worked out must not hold up the rest."""
    for people in (outdated_people(target), new_people(target)):
        last: UUID | None = None
        while True:
            later = people.filter(pk__gt=last) if last else people
            ids = list(later.order_by("pk").values_list("pk", flat=True)[: limits.PLAN_CHUNK])
            if not ids:
                break
            last = ids[-1]
            yield ids
