"""Sealing: events that are not sealed yet go under one more link of a signed chain, and its head goes outside.

All digests are SHA-256. A row's digest is that of its canonical JSON. `rows_digest` is over the rows' digests in
ascending order of id, `digest` over the previous seal's digest, the digest of the seal's own canonical JSON, and
`rows_digest`: so a seal still holds after its events were pruned. What is signed is `digest`.
"""

import hashlib
import json
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.module_loading import import_string

from broker import limits
from broker.events import seal_log
from broker.events.models import Event, Seal
from broker.events.ranges import LAST_ID, Range, compress, find_events, read_ranges, subtract, union

FORMAT = 1
"""Goes into every digest; another way to compute them gets another number."""
GENESIS = "0" * 64
"""What the first seal names as its predecessor."""
MARK_CHARS = 8


def seal_events(now: datetime) -> Seal | None:
    """Seal up to `limits.EVENTS_PER_SEAL` events and write the head to the seal log; None when there is nothing.

    Also None when another sealer was faster: the chain cannot fork. A line that an earlier run could not write is
    written first. Must not be called within a transaction, since the log must not know what the book may yet lose.
    Raises OSError when the log cannot be written; a seal without its line gets it with the next call.
    """
    seal_log.write_missing(settings.SEAL_LOG, now=now)
    last = Seal.objects.order_by("-id").first()
    unsealed = find_events([*open_gaps(last), (last.until_id + 1 if last else 1, LAST_ID)])
    events = list(islice(unsealed, limits.EVENTS_PER_SEAL))
    if not events:
        return None
    seal = _seal(events, last, now)
    seal_log.write_missing(settings.SEAL_LOG, now=now)
    return seal


def open_gaps(last: Seal | None) -> list[Range]:
    """The ids that no seal holds among those sealed lately: their transactions may have committed since.

    A gap closes when the last seal is `limits.EVENT_LATENESS` younger than the seal that left it. Raises ValueError
    when one of these seals does not name ids: nothing is sealed over it.
    """
    if last is None:
        return []
    closed = Seal.objects.filter(at__lt=last.at - limits.EVENT_LATENESS).order_by("-id").first()
    recent = Seal.objects.filter(id__gt=closed.id if closed else 0).values_list("ids", flat=True)
    sealed = union(read_ranges(ids) for ids in recent)
    return subtract([(closed.until_id + 1 if closed else 1, last.until_id)], sealed)


def row_digest(event: Event) -> bytes:
    """The digest of one event, over every column."""
    return hashlib.sha256(_canonical(canonical_row(event))).digest()


def canonical_row(event: Event) -> dict[str, Any]:
    """One event as JSON: what its digest is over, for those who hand an event out and let others compute it."""
    return {
        "format": FORMAT,
        "id": event.id,
        "at": _text(event.at),
        "type": event.type,
        "severity": event.severity,
        "actor_kind": event.actor_kind,
        "actor_id": event.actor_id,
        "address": event.address,
        "trace_id": event.trace_id,
        "subject_kind": event.subject_kind,
        "subject_id": event.subject_id,
        "connection": event.connection,
        "application": event.application,
        "code": event.code,
        "details": event.details,
    }


def seal_digest(seal: Seal) -> str:
    """The digest that `seal` ought to have, from its own columns alone."""
    chained = hashlib.sha256(seal.previous_digest.encode())
    chained.update(header_digest(seal))
    chained.update(seal.rows_digest.encode())
    return chained.hexdigest()


def header_digest(seal: Seal) -> bytes:
    """The digest of what the seal says of itself. With it and `rows_digest` a link of the chain is computed."""
    return hashlib.sha256(_canonical(canonical_header(seal))).digest()


def canonical_header(seal: Seal) -> dict[str, Any]:
    """What the seal says of itself, as JSON."""
    return {
        "format": FORMAT,
        "at": _text(seal.at),
        "ids": seal.ids,
        "count": seal.count,
        "until_id": seal.until_id,
    }


def _seal(events: list[Event], last: Seal | None, now: datetime) -> Seal | None:
    digests = [row_digest(event) for event in events]
    ranges = compress(event.id for event in events)
    seal = Seal(
        at=now,
        ids=[list(part) for part in ranges],
        count=len(events),
        until_id=max(ranges[-1][1], last.until_id if last else 0),
        rows_digest=hashlib.sha256(b"".join(digests)).hexdigest(),
        row_marks="".join(digest.hex()[:MARK_CHARS] for digest in digests),
        previous_digest=last.digest if last else GENESIS,
    )
    seal.digest = seal_digest(seal)
    seal.signature = import_string(settings.EVENT_HEAD_SIGNER)(seal.digest)
    try:
        with transaction.atomic(durable=True):
            seal.save(force_insert=True)
    except IntegrityError:
        if Seal.objects.filter(previous_digest=seal.previous_digest).exists():
            return None
        raise
    return seal


def _text(at: datetime) -> str:
    # A row that somebody broke can hold None here; it has a digest all the same, and not the right one.
    return at.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(at, datetime) else repr(at)


def _canonical(value: dict[str, Any]) -> bytes:
    # ASCII is UTF-8 that no lone surrogate can break; `default` is for a row that somebody gave a foreign type.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=repr).encode()
