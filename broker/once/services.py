"""Single use, atomic across workers."""

import hashlib
from datetime import datetime

from django.db import IntegrityError, transaction

from broker.once.models import UsedValue


class AlreadyUsed(Exception):
    """The value was claimed before."""


def claim_once(kind: str, value: str, *, until: datetime) -> None:
    """Claim `value` of a `kind` for good; remembered until `until`, when nobody can present it any more.

    Raises AlreadyUsed. An unreachable database raises its own error: without it nothing counts as unused.
    """
    digest = hashlib.sha256(value.encode()).hexdigest()
    try:
        with transaction.atomic():
            UsedValue.objects.create(kind=kind, digest=digest, until=until)
    except IntegrityError as error:
        raise AlreadyUsed(kind) from error


def forget_expired(*, now: datetime) -> int:
    """Delete what can no longer be presented. Returns how many."""
    deleted, _ = UsedValue.objects.filter(until__lt=now).delete()
    return deleted
