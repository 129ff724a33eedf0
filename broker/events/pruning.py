"""Pruning: sealed events past their retention go, segment by segment; the seals over them stay and still hold."""

from datetime import datetime

from django.db import transaction

from broker import limits
from broker.actors import SYSTEM
from broker.events.catalogue import EVENTS_PRUNED
from broker.events.models import Event, PrunePermit, Seal
from broker.events.ranges import RANGES_PER_QUERY, events_within
from broker.events.services import record

EVENTS_PER_TRANSACTION = 10_000


def prune_events(now: datetime) -> int:
    """Delete the events of the oldest seals, as far as those are older than `limits.EVENT_RETENTION`.

    Each transaction takes whole segments and records EVENTS_PRUNED with the first and last seal, the last one's
    digest and the number of events, so that a deletion by anybody else is told from ours. Returns how many events.
    """
    total = 0
    while (deleted := _prune_segments(now)) is not None:
        total += deleted
    return total


@transaction.atomic
def _prune_segments(now: datetime) -> int | None:
    PrunePermit.objects.get_or_create(pk=1)
    # Whoever else prunes waits here, and then sees what is left.
    PrunePermit.objects.filter(pk=1).update(until_id=0)
    segments: list[Seal] = []
    events = 0
    for seal in Seal.objects.filter(pruned_at=None).order_by("id").defer("row_marks").iterator(chunk_size=100):
        # The chain is pruned from its beginning only: an older seal after a younger one waits for its turn.
        if seal.at > now - limits.EVENT_RETENTION or (segments and events + seal.count > EVENTS_PER_TRANSACTION):
            break
        segments.append(seal)
        events += seal.count
    if not segments:
        return None
    PrunePermit.objects.filter(pk=1).update(until_id=segments[-1].until_id)
    deleted = sum(_delete(seal) for seal in segments)
    pruned = Seal.objects.filter(pk__gte=segments[0].pk, pk__lte=segments[-1].pk)
    pruned.update(pruned_at=now, row_marks="")
    PrunePermit.objects.filter(pk=1).update(until_id=0)
    record(
        EVENTS_PRUNED,
        actor=SYSTEM,
        first_seal=segments[0].pk,
        last_seal=segments[-1].pk,
        digest=segments[-1].digest,
        events=deleted,
    )
    return deleted


def _delete(seal: Seal) -> int:
    deleted = 0
    for start in range(0, len(seal.ids), RANGES_PER_QUERY):
        ranges = [(first, last) for first, last in seal.ids[start : start + RANGES_PER_QUERY]]
        deleted += Event.objects.filter(events_within(ranges)).delete()[0]
    return deleted
