"""How the flow register stands: what somebody has to decide, and what comes to its end."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from broker import limits
from broker.approvals.models import Approval
from broker.registry.models import Flow


@dataclass(frozen=True, slots=True)
class FlowState:
    """Counts of flows. `waiting`: approvals of every kind that wait for a second operator."""

    approved: int
    asked: int
    waiting: int
    ending: int
    unused: int

    @property
    def is_empty(self) -> bool:
        return not (self.approved or self.asked or self.waiting)


def read_flows(*, now: datetime) -> FlowState:
    """Read the register at `now`. `ending` and `unused` mean flows in force."""
    in_force = Q(state=Flow.State.APPROVED, ended_at=None, expires__gte=now.date())
    asked = Q(is_draft=True, owner="", state=Flow.State.PROPOSED)
    is_ending = Q(expires__lt=(now + limits.FLOW_ENDING_BEFORE).date())
    is_unused = Q(last_used_at=None) | Q(last_used_at__lt=now - limits.FLOW_UNUSED)
    counted = Flow.objects.filter(client__retired_at=None).aggregate(
        approved=Count("pk", filter=in_force),
        asked=Count("pk", filter=asked),
        ending=Count("pk", filter=in_force & is_ending),
        unused=Count("pk", filter=in_force & is_unused),
    )
    waiting = Approval.objects.filter(state=Approval.State.PENDING, expires_at__gt=now).count()
    return FlowState(waiting=waiting, **counted)
