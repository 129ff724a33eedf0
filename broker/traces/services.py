"""Making, saving and reading traces."""

import json
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce, NullIf
from django.utils import timezone

from broker import crypto
from broker.statements import Change, Parameter, insert
from broker.traces.collector import Collector
from broker.traces.models import Hop, Trace

# Crockford's base 32: no I, L, O or U to misread or misspell when an id is read out on the telephone.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ID_LENGTH = 10


def make_trace_id() -> str:
    """A short id of 50 random bits, `XXXXX-XXXXX`."""
    number = secrets.randbits(5 * ID_LENGTH)
    letters = "".join(ALPHABET[number >> 5 * place & 31] for place in range(ID_LENGTH))
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
    """Store one request's records under `trace_id`: those of a refusal in a commit of their own, after any rollback,
    those of a success with what they tell of.

    A new trace costs two inserts, a later hop an insert and an update. The header keeps what is already known:
    an empty `connection` or `application` does not erase it, and a refusal is never painted over by a later success.
    """
    now = timezone.now()
    told = {"outcome": outcome, "code": code, "connection": connection, "application": application}
    with transaction.atomic(savepoint=False):
        if is_new or not (_change(trace_id, told) or Trace.objects.filter(id=trace_id).exists()):
            insert(Trace(id=trace_id, started_at=now, expires_at=now + timedelta(days=settings.TRACE_DAYS), **told))
        body = json.dumps(collector.entries, ensure_ascii=False, separators=(",", ":")).encode()
        sealed = crypto.seal(body, context=_context(trace_id))
        insert(Hop(trace_id=trace_id, at=now, name=collector.hop[:100], sealed=sealed))


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


def _change(trace_id: str, told: dict[str, Any]) -> int:
    """How many headers of this id there were to change: none, or one."""
    return (_REFUSE if told["outcome"] == Trace.Outcome.REFUSED else _GO_ON).count(id=trace_id, **told)


def _unless_empty(field: str) -> Coalesce:
    return Coalesce(NullIf(Parameter(Trace, field), Value("")), F(field))


_TOLD: dict[str, Any] = {
    "outcome": Parameter(Trace, "outcome"),
    **{field: _unless_empty(field) for field in ("code", "connection", "application")},
}
_REFUSE = Change(lambda: Trace.objects.filter(id=Parameter(Trace, "id")), **_TOLD)
_GO_ON = Change(lambda: Trace.objects.filter(id=Parameter(Trace, "id")).exclude(outcome=Trace.Outcome.REFUSED), **_TOLD)


def _context(trace_id: str) -> str:
    return f"traces.Hop.sealed.{trace_id}"
