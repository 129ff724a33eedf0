"""Single use, atomic across workers."""

import hashlib
from datetime import datetime

from broker.once.models import UsedValue
from broker.statements import insert


class AlreadyUsed(Exception):
    """The value was claimed before."""


def claim_once(kind: str, value: str, *, until: datetime) -> None:
    """Claim `value` of a `kind` for good; remembered until `until`, when nobody can present it any more.

    Raises AlreadyUsed. An unreachable database raises its own error: without it nothing counts as unused.
    """
    digest = hashlib.sha256(value.encode()).hexdigest()
    if not insert(UsedValue(kind=kind, digest=digest, until=until), unless_there=True):
        raise AlreadyUsed(kind)


def forget_expired(*, now: datetime) -> int:
    """Delete what can no longer be presented. Returns how many."""
    deleted, _ = UsedValue.objects.filter(until__lt=now).delete()
    return deleted
