"""How long a receiver asks us to wait (RFC 9110 section 10.2.3)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from broker import limits
from broker.delivery.outcomes import Pause

WAITING = (429, 503)


def asked_pause(status: int, headers: Mapping[str, str], *, now: datetime) -> Pause | None:
    """What Retry-After of a 429 or 503 asks for, at most `limits.DELIVERY_WAIT_MAX`; None where nothing is asked.

    `headers` by lower-case name, as `outgoing` gives them.
    """
    value = headers.get("retry-after", "").strip()
    if status not in WAITING or not value:
        return None
    try:
        if value.isascii() and value.isdecimal():
            until = now + timedelta(seconds=int(value))
        else:
            until = parsedate_to_datetime(value)
        return Pause(min(max(until, now), now + limits.DELIVERY_WAIT_MAX), f"the receiver answered {status}")
    except (ValueError, TypeError, OverflowError):
        return None
