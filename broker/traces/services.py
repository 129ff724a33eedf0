"""Making, saving and reading traces."""

import json
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from broker import crypto
from broker.traces.collector import Collector
from broker.traces.models import Hop, Trace

# Crockford's base 32: no I, L, O or U to misread or misspell when an id is read out on the telephone.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ID_LENGTH = 10


def make_trace_id() -> str:
    """A short id of 50 random bits, `XXXXX-XXXXX`."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))
    return f"{letters[:5]}-{letters[5:]}"


def save_trace(
    trace_id: str,
    collector: Collector,
    *,
    outcome: Trace.Outcome,
    code: str = "",
    connection: str = "",
    application: str = "",
    is_new: bool = False,
) -> None:
    """Store one request's records under `trace_id`, in a commit of its own (call it after any rollback).

    A new trace costs two inserts, a later hop an insert and an update. The header keeps what is already known:
    an empty `connection` or `application` does not erase it, and a refusal is never painted over by a later success.
    """
    now = timezone.now()
    known = {key: value for key, value in {"connection": connection, "application": application}.items() if value}
    with transaction.atomic():
        if is_new:
            Trace.objects.create(
                id=trace_id, started_at=now, outcome=outcome, code=code, expires_at=_expiry(now), **known
            )
        else:
            changed: dict[str, Any] = {"outcome": outcome, **known, **({"code": code} if code else {})}
            headers = Trace.objects.filter(id=trace_id).exclude(outcome=Trace.Outcome.REFUSED)
            if outcome is Trace.Outcome.REFUSED:
                headers = Trace.objects.filter(id=trace_id)
            if not headers.update(**changed) and not Trace.objects.filter(id=trace_id).exists():
                Trace.objects.create(id=trace_id, started_at=now, expires_at=_expiry(now), **changed)
        body = json.dumps(collector.entries, ensure_ascii=False, separators=(",", ":")).encode()
        Hop.objects.create(
            trace_id=trace_id, at=now, name=collector.hop[:100], sealed=crypto.seal(body, context=_context(trace_id))
        )


def read_trace(trace_id: str) -> list[dict[str, Any]]:
    """The hops of a trace in order, each {at, name, entries}. An unknown id gives an empty list."""
    hops = []
    for hop in Hop.objects.filter(trace_id=trace_id).order_by("id"):
        try:
            entries = json.loads(crypto.unseal(hop.sealed, context=_context(trace_id)))
        except crypto.UnsealError:
            entries = [
                {"type": "note", "text": "This hop cannot be opened: damaged, or its key is gone.", "values": {}}
            ]
        hops.append({"at": hop.at, "name": hop.name, "entries": entries})
    return hops


def forget_expired(*, now: datetime) -> int:
    """Delete traces past their expiry. Returns how many."""
    _, counts = Trace.objects.filter(expires_at__lt=now).delete()
    return counts.get("traces.Trace", 0)


def _expiry(now: datetime) -> datetime:
    return now + timedelta(days=settings.TRACE_DAYS)


def _context(trace_id: str) -> str:
    return f"traces.Hop.sealed.{trace_id}"
