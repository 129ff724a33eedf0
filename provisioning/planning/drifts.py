"""Keeping drift: since when a difference is seen, and that a later read no longer shows it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from broker import limits
from broker.delivery.models import Delivery
from provisioning.outbound.models import Target
from provisioning.planning.differing import Action, Difference
from provisioning.planning.models import Drift, Run

TOLD = ["differences", "weight", "title", "remote_id", "touches"]


def record_drift(run: Run, target: Target, chunks: Iterable[list[Difference]], *, now: datetime) -> Counter[str]:
    """Write what differs and end what no longer does. Returns how many of each kind, "new", "repaired", "under_way".

    What a delivery of ours is still to bring is no drift yet; drift that was seen before stays until a read shows it
    gone, whatever is on its way.
    """
    counts: Counter[str] = Counter()
    for chunk in chunks:
        open_ones = {
            (one.kind, one.key): one
            for one in Drift.objects.filter(target=target, repaired_at=None, key__in=[one.key for one in chunk])
        }
        awaited = under_way(target, [one.key for one in chunk])
        seen: list[Drift] = []
        same: list[Drift] = []
        new: list[Drift] = []
        for one in chunk:
            held = open_ones.get((one.kind, one.key))
            if held is not None:
                (seen if _tell_anew(held, one) else same).append(held)
            elif one.key in awaited:
                counts["under_way"] += 1
                continue
            else:
                new.append(_drift(run, target, one, now=now))
            counts[one.kind] += 1
        Drift.objects.bulk_update(seen, TOLD, batch_size=limits.PLAN_CHUNK)
        Drift.objects.filter(pk__in=[one.pk for one in [*seen, *same]]).update(last_seen=now, last_run=run)
        Drift.objects.bulk_create(new)
        counts["new"] += len(new)
    gone = Drift.objects.filter(target=target, repaired_at=None).exclude(last_run=run)
    counts["repaired"] = gone.update(repaired_at=now)
    return counts


def under_way(target: Target, keys: Sequence[str]) -> set[str]:
    """Those of the keys for which a row of the ledger is still to be delivered."""
    rows = Delivery.objects.filter(lane=target.lane, subject__in=keys, settled_at=None)
    return set(rows.values_list("subject", flat=True))


def _tell_anew(held: Drift, one: Difference) -> bool:
    """Set what is told of a difference now on the row, unsaved. Returns whether anything of it changed."""
    before = [getattr(held, name) for name in TOLD]
    held.differences, held.weight, held.title = dict(one.differences), one.weight, one.title
    held.remote_id, held.touches = one.remote_id, one.action != Action.NONE
    return before != [getattr(held, name) for name in TOLD]


def _drift(run: Run, target: Target, one: Difference, *, now: datetime) -> Drift:
    return Drift(
        target=target,
        kind=one.kind,
        key=one.key,
        person_id=one.person_id,
        group_uid=one.group_uid,
        remote_id=one.remote_id,
        touches=one.action != Action.NONE,
        title=one.title,
        differences=dict(one.differences),
        weight=one.weight,
        first_seen=now,
        last_seen=now,
        last_run=run,
    )
