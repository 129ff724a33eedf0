"""Reading: the events that wait for a reader are handed to it in order, and their notices go in the same transaction.

A reader that fails at several events gets them in ever smaller parts, so that one poison event holds up nobody else:
it is tried again later and later, and shown.
"""

import time
from collections.abc import Sequence

import structlog
from django.db import OperationalError, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.module_loading import import_string

from broker import limits
from broker.actors import SYSTEM
from broker.events.catalogue import NOTICE_FAILED
from broker.events.models import Event, Notice, ReaderTurn
from broker.events.notices import Reader, all_readers
from broker.events.services import record
from broker.leases import holding, is_dead, new_lease

log = structlog.get_logger(__name__)


class TurnLost(Exception):
    """Another process reads for this reader by now; nothing was written."""


def read_notices() -> int:
    """Let every reader read what is due, each for `limits.NOTICE_SLICE` at most. Returns how many were read."""
    return sum(read_for(reader) for reader in all_readers())


def read_for(reader: str) -> int:
    """Let one reader read what is due, unless it is read for already. Returns how many were read."""
    total = 0
    until = time.monotonic() + limits.NOTICE_SLICE.total_seconds()
    # Once more after the turn was given back: who came meanwhile rang for nothing.
    while time.monotonic() < until and _is_due(reader):
        lease = _take_turn(reader)
        if not lease:
            break
        with holding(lease):
            try:
                while time.monotonic() < until and (notices := _due(reader)):
                    total += _read(reader, notices, lease)
            except TurnLost:
                log.warning("the turn of a reader was taken over", reader=reader)
                break
            finally:
                _end_turn(reader, lease)
    return total


def _is_due(reader: str) -> bool:
    return Notice.objects.filter(reader=reader, due_at__lte=timezone.now()).exists()


def _due(reader: str) -> list[Notice]:
    due = Notice.objects.filter(reader=reader, due_at__lte=timezone.now()).order_by("event_id")
    return list(due[: limits.NOTICES_PER_READING])


def _take_turn(reader: str) -> str:
    """A lease on the reader's turn; "" when another has it."""
    now, lease = timezone.now(), new_lease()
    turn = ReaderTurn.objects.filter(reader=reader).first()
    if turn is None:
        ReaderTurn.objects.bulk_create([ReaderTurn(reader=reader)], ignore_conflicts=True)
    is_free = Q(lease_until=None) | Q(lease_until__lt=now)
    if turn is not None and is_dead(turn.lease):
        is_free |= Q(lease=turn.lease)
    free = ReaderTurn.objects.filter(is_free, reader=reader)
    return lease if free.update(lease=lease, lease_until=now + limits.NOTICE_LEASE) else ""


def _end_turn(reader: str, lease: str) -> None:
    ReaderTurn.objects.filter(reader=reader, lease=lease).update(lease="", lease_until=None)


def _read(reader: str, notices: Sequence[Notice], lease: str) -> int:
    """Hand these to the reader, in halves where it fails. Returns how many it read."""
    try:
        return _read_at_once(reader, notices, lease)
    except (OperationalError, TurnLost):
        raise  # The database is away, or another has the turn: that is no event's fault.
    except Exception as error:
        if len(notices) > 1:
            half = len(notices) // 2
            return _read(reader, notices[:half], lease) + _read(reader, notices[half:], lease)
        log.exception("a reader fails at an event", reader=reader, event_id=notices[0].event_id)
        _put_off(notices[0], error)
        return 0


@transaction.atomic
def _read_at_once(reader: str, notices: Sequence[Notice], lease: str) -> int:
    # Holds the turn's row until the commit: who would take the turn over waits, and then finds these notices gone.
    turn = ReaderTurn.objects.filter(reader=reader, lease=lease)
    if not turn.update(lease_until=timezone.now() + limits.NOTICE_LEASE):
        raise TurnLost(reader)
    events = list(Event.objects.filter(pk__in=[notice.event_id for notice in notices]).order_by("pk"))
    if events:
        read: Reader = import_string(reader)
        read(events)
    Notice.objects.filter(pk__in=[notice.pk for notice in notices]).delete()
    return len(notices)


@transaction.atomic
def _put_off(notice: Notice, error: Exception) -> None:
    """Try it again later, twice as late each time; tell of it once."""
    wait = min(limits.NOTICE_BACKOFF * 2**notice.attempts, limits.NOTICE_BACKOFF_MAX)
    Notice.objects.filter(pk=notice.pk).update(
        attempts=F("attempts") + 1, due_at=timezone.now() + wait, error=type(error).__name__[:200]
    )
    if notice.attempts == 0:
        record(
            NOTICE_FAILED,
            actor=SYSTEM,
            subject=("event", notice.event_id),
            reader=notice.reader,
            error=type(error).__name__,
        )
