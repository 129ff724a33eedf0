"""When and from where each credential was used: counted in memory, written at most once a minute in each process.

What a process counted since its last write is lost when it ends. A use that cannot be written refuses nobody.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError
from django.db.models import Exists, F, OuterRef

from broker import limits
from broker.actors import Actor, ActorKind
from broker.events import catalogue
from broker.events.services import record
from broker.once.services import AlreadyUsed, claim_once
from broker.registry.models import Client, CredentialKind, CredentialUse
from broker.statements import Change, Parameter, insert

log = structlog.get_logger(__name__)
TOLD = "old_secret_used"
"""The kind under which it is remembered that a day's use of an old secret stands in the book."""


@dataclass(slots=True)
class _Counted:
    """Uses of one credential that are not written yet, and when the last ones were."""

    written_at: datetime | None = None
    count: int = 0


class UseMemory:
    """The uses that this process counted and has not written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: OrderedDict[tuple[int, str, str], _Counted] = OrderedDict()

    def take_due(self, key: tuple[int, str, str], *, now: datetime) -> int:
        """Count one use. Returns how many are to be written now: 0 while the last write is less than a minute old."""
        with self._lock:
            counted = self._counted.setdefault(key, _Counted())
            self._counted.move_to_end(key)
            if len(self._counted) > limits.CREDENTIAL_USES_REMEMBERED:
                self._counted.popitem(last=False)
            counted.count += 1
            if counted.written_at is not None and now - counted.written_at < limits.CREDENTIAL_USE_INTERVAL:
                return 0
            due, counted.count, counted.written_at = counted.count, 0, now
            return due

    def forget(self) -> None:
        """Forget all uses, written or not."""
        with self._lock:
            self._counted.clear()


credential_memory = UseMemory()


def note_use(client: Client, kind: CredentialKind, name: str, *, address: str, now: datetime) -> None:
    """The client proved itself by this credential, from `address`. Costs no query unless a write is due."""
    due = credential_memory.take_due((client.pk, kind, name), now=now)
    if not due:
        return
    try:
        is_superseded = kind == CredentialKind.SECRET and has_used_successor(client, name)
        _write(client, kind, name, count=due, is_superseded=is_superseded, address=address, now=now)
        if is_superseded:
            _tell_once_a_day(client, name, address=address, now=now)
    except DatabaseError as error:
        log.warning("use of a credential not written", client=client.client_id, error=type(error).__name__)


def has_used_successor(client: Client, secret: str) -> bool:
    """Whether a newer secret of the client has been used already. Asks the database only where there are two."""
    newer = [str(one.pk) for one in client.secrets.all() if one.pk > int(secret)]
    return (
        bool(newer) and CredentialUse.objects.filter(client=client, kind=CredentialKind.SECRET, name__in=newer).exists()
    )


def forget_old_uses(*, now: datetime) -> int:
    """Delete the days past their retention, but the last one of each credential. Returns how many."""
    later = CredentialUse.objects.filter(
        client=OuterRef("client"), kind=OuterRef("kind"), name=OuterRef("name"), day__gt=OuterRef("day")
    )
    before = (now - limits.CREDENTIAL_USE_RETENTION).date()
    return CredentialUse.objects.filter(Exists(later), day__lt=before).delete()[0]


def _write(
    client: Client, kind: CredentialKind, name: str, *, count: int, is_superseded: bool, address: str, now: datetime
) -> None:
    """One statement, two with the first use of a day. None waits for the disk: evidence lets nobody in."""
    use = CredentialUse(
        client=client,
        kind=kind,
        name=name,
        day=now.date(),
        count=count,
        superseded_count=count if is_superseded else 0,
        last_used_at=now,
        last_used_from=address,
    )
    if not _add(use) and not insert(use, unless_there=True, is_soon_durable=True):
        _add(use)


def _add(use: CredentialUse) -> int:
    return _ADDITION.count(
        client=use.client_id,
        kind=use.kind,
        name=use.name,
        day=use.day,
        count=use.count,
        superseded_count=use.superseded_count,
        last_used_at=use.last_used_at,
        last_used_from=use.last_used_from,
    )


def _given(field: str) -> Parameter:
    return Parameter(CredentialUse, field)


_ADDITION = Change(
    lambda: CredentialUse.objects.filter(
        client=_given("client"), kind=_given("kind"), name=_given("name"), day=_given("day")
    ),
    is_soon_durable=True,
    count=F("count") + _given("count"),
    superseded_count=F("superseded_count") + _given("superseded_count"),
    last_used_at=_given("last_used_at"),
    last_used_from=_given("last_used_from"),
)


def _tell_once_a_day(client: Client, name: str, *, address: str, now: datetime) -> None:
    """An event of the day's first use of a secret whose successor is in use: somebody has not changed over."""
    try:
        claim_once(TOLD, f"{name}:{now.date()}", until=now + timedelta(days=2))
    except AlreadyUsed:
        return
    record(
        catalogue.OLD_SECRET_USED,
        actor=Actor(ActorKind.CLIENT, client.client_id, address),
        subject=("client", client.client_id),
        application=client.application.slug if client.application else "",
        secret=int(name),
        owner=client.owner,
    )
