"""How the targets are: what should be there, what was read back, what waits, and whether the lane goes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Q

from broker.delivery.models import Delivery, Lane
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.outbound.models.remote import GONE_STATES
from provisioning.outbound.services import CLOSED_STATES

Aim, State = RemoteAccount.Aim, RemoteAccount.State
_OPEN = (Delivery.State.PENDING, Delivery.State.DELIVERING, Delivery.State.RETRYING)


@dataclass(frozen=True, slots=True)
class Health:
    """Of one target. `expected` accounts should be there and active, `standing` of them are as far as we know."""

    expected: int
    standing: int
    closing: int
    """Accounts that should be closed or gone, and were not read so."""
    lied: int
    waiting: int
    dead: int
    last_confirmed: datetime | None
    lane: str

    @property
    def is_well(self) -> bool:
        """Whether nothing is missing, left open, given up or stopped."""
        return (
            self.expected == self.standing
            and not (self.closing or self.lied or self.dead)
            and self.lane in ("", Lane.State.OPEN)
        )


def health_of(targets: Iterable[Target]) -> dict[int, Health]:
    """By the target's key, in four queries however many they are."""
    known = {target.pk: target for target in targets}
    lanes = {target.lane: key for key, target in known.items()}
    accounts = {
        row["target"]: row
        for row in RemoteAccount.objects.filter(target__in=known)
        .order_by()
        .values("target")
        .annotate(
            expected=Count("pk", filter=Q(aim=Aim.PRESENT)),
            standing=Count("pk", filter=Q(aim=Aim.PRESENT, state=State.PRESENT)),
            closing=Count("pk", filter=_is_closing()),
            lied=Count("pk", filter=Q(lied_at__isnull=False)),
        )
    }
    rows = {
        lanes[row["lane"]]: row
        for row in Delivery.objects.filter(lane__in=lanes)
        .order_by()
        .values("lane")
        .annotate(
            waiting=Count("pk", filter=Q(state__in=_OPEN)),
            dead=Count("pk", filter=Q(state=Delivery.State.DEAD)),
            last=Max("settled_at", filter=Q(state=Delivery.State.CONFIRMED)),
        )
    }
    states = dict(Lane.objects.filter(name__in=lanes).values_list("name", "state"))
    return {
        key: _health(accounts.get(key, {}), rows.get(key, {}), states.get(target.lane, ""))
        for key, target in known.items()
    }


def _is_closing() -> Q:
    open_ones = Q(aim=Aim.DISABLED) & ~Q(state__in=CLOSED_STATES)
    return open_ones | (Q(aim=Aim.GONE) & ~Q(state__in=GONE_STATES))


def _health(accounts: Any, rows: Any, lane: str) -> Health:
    return Health(
        expected=accounts.get("expected", 0),
        standing=accounts.get("standing", 0),
        closing=accounts.get("closing", 0),
        lied=accounts.get("lied", 0),
        waiting=rows.get("waiting", 0),
        dead=rows.get("dead", 0),
        last_confirmed=rows.get("last"),
        lane=lane,
    )
