"""How long to wait before the next attempt. Full jitter: what failed together does not come back together."""

import random
from datetime import timedelta

from broker import limits


def wait_after(failures: int, asked: timedelta | None = None) -> timedelta:
    """Before the attempt that follows `failures` of them; `asked` is what the receiver wants at least."""
    if asked is None:
        return _jittered(_doubled(limits.DELIVERY_BACKOFF, failures, limits.DELIVERY_BACKOFF_MAX))
    # A little later than asked, so that many do not come at that very moment.
    return bounded(asked) + _jittered(timedelta(seconds=1) + bounded(asked) / 10)


def pause_after(pauses: int) -> timedelta:
    """Of a lane that does not answer, after so many pauses. At least half is waited: a trial costs a timeout."""
    whole = _doubled(limits.LANE_PAUSE, pauses, limits.LANE_PAUSE_MAX)
    return whole / 2 + _jittered(whole / 2)


def bounded(asked: timedelta) -> timedelta:
    """What a receiver asks for, as far as we let it decide."""
    return max(timedelta(0), min(asked, limits.DELIVERY_WAIT_MAX))


def _doubled(first: timedelta, times: int, most: timedelta) -> timedelta:
    return min(first * float(2 ** min(times, 30)), most)


def _jittered(most: timedelta) -> timedelta:
    return most * random.random()  # noqa: S311 - spreads load, guards nothing
