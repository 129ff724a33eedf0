"""When a flow was last used, written seldom."""

from datetime import datetime

from django.db.models import Q

from broker import limits
from broker.registry.models import Flow
from broker.seldom import Seldom

uses = Seldom()


def touch_flow(flow_id: int, *, now: datetime) -> None:
    """Note that a token was issued by the flow, at most once in `limits.FLOW_TOUCH_INTERVAL` for each process.

    The cached flows stay as they are: nothing is decided by it.
    """
    if not uses.is_due(flow_id, interval=limits.FLOW_TOUCH_INTERVAL, now=now):
        return
    is_stale = Q(last_used_at=None) | Q(last_used_at__lte=now - limits.FLOW_TOUCH_INTERVAL)
    Flow.objects.filter(is_stale, pk=flow_id).update(last_used_at=now)
