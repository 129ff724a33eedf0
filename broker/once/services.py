"""Single use, atomic across workers."""

import hashlib
from datetime import datetime

from broker.once.models import UsedValue
from broker.statements import insert


class AlreadyUsed(Exception):
    """The value was claimed before."""


def claim_once(kind: str, value: str, *, until: datetime, is_soon_durable: bool = False) -> None:
    """Claim `value` of a `kind` for good; remembered until `until`, when nobody can present it any more.

    `is_soon_durable` (broker.statements): for who commits once more before anything is given for the value.
    Raises AlreadyUsed. An unreachable database raises its own error: without it nothing counts as unused.
    """
    digest = hashlib.sha256(value.encode()).hexdigest()
    if not insert(UsedValue(kind=kind, digest=digest, until=until), unless_there=True, is_soon_durable=is_soon_durable):
        raise AlreadyUsed(kind)


def forget_expired(*, now: datetime) -> int:
    """Delete what can no longer be presented. Returns how many."""
    deleted, _ = UsedValue.objects.filter(until__lt=now).delete()
    return deleted
