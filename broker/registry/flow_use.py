"""When a flow was last used, written seldom."""

import threading
from collections import OrderedDict
from datetime import datetime

from django.db.models import Q

from broker import limits
from broker.registry.models import Flow

FLOWS_REMEMBERED = 10_000


class FlowUse:
    """When this process last wrote down that a flow was used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._touched: OrderedDict[int, datetime] = OrderedDict()

    def touch(self, flow_id: int, *, now: datetime) -> None:
        """Write `now` as the flow's last use, at most once in `limits.FLOW_TOUCH_INTERVAL` for each process.

        The cached flows stay as they are: nothing is decided by it.
        """
        with self._lock:
            touched = self._touched.get(flow_id)
            if touched is not None and now - touched < limits.FLOW_TOUCH_INTERVAL:
                return
            self._touched[flow_id] = now
            self._touched.move_to_end(flow_id)
            if len(self._touched) > FLOWS_REMEMBERED:
                self._touched.popitem(last=False)
        is_stale = Q(last_used_at=None) | Q(last_used_at__lte=now - limits.FLOW_TOUCH_INTERVAL)
        Flow.objects.filter(is_stale, pk=flow_id).update(last_used_at=now)

    def forget(self) -> None:
        """Forget what was written, as a new process would."""
        with self._lock:
            self._touched.clear()


uses = FlowUse()


def touch_flow(flow_id: int, *, now: datetime) -> None:
    """Note that a token was issued by the flow. In the normal case this asks the memory only."""
    uses.touch(flow_id, now=now)
