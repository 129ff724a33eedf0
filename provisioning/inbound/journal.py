"""The journal: every request of a source, and what became of each attribute.

A write's entry stands in the transaction of the write, a refusal's in one of its own. Names of attributes stand open;
what was sent is sealed for the entry's place. Tokens are in neither.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from broker import crypto, limits
from broker.actors import Actor
from broker.statements import insert
from provisioning.inbound.models import JournalEntry, ScimSource

APPLIED, KEPT, CONFLICT, UNCHANGED = "applied", "kept", "conflict", "unchanged"
STORED, NOT_TOLD, IGNORED = "stored", "not told", "ignored"
READS = frozenset({"GET", "SEARCH"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, or one operation of a bulk, as the journal names it."""

    method: str
    resource: str = ""
    subject: str = ""
    place: int | None = None
    sent: Any = None
    """The body, or the parameters of a query, as JSON takes it."""


@dataclass(slots=True)
class Effects:
    """What one operation did, gathered while it is done."""

    subject: str = ""
    attributes: list[dict[str, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def note(self, attribute: str, effect: str, *, by: str = "", code: str = "") -> None:
        """One attribute: what became of it, which source's word counts instead, and why."""
        entry = {"attribute": attribute, "effect": effect}
        if by:
            entry["by"] = by
        if code:
            entry["code"] = code
        self.attributes.append(entry)

    def count(self, name: str, number: int) -> None:
        """A number that says what happened without naming anybody."""
        if number:
            self.counts[name] = self.counts.get(name, 0) + number


class Journal:
    """The entries of one request."""

    def __init__(self, source: ScimSource, *, actor: Actor, token: int | None = None) -> None:
        self.source = source
        self.actor = actor
        self.token = token
        self.asked = Asked("")
        self.effects = Effects()
        self._began = time.monotonic()

    @property
    def evidence(self) -> str:
        """By which a value can be traced to its entry."""
        return f"journal:{self.actor.trace_id}"

    def begin(self, asked: Asked) -> None:
        """From here on this is what is done."""
        self.asked = asked
        self.effects = Effects(subject=asked.subject)
        self._began = time.monotonic()

    def write_done(self, *, status: int) -> None:
        """The entry of what was done, in the transaction of the caller. Of a read, on the disk soon after."""
        insert(self._entry(status=status), is_soon_durable=self.asked.method in READS)

    def write_refused(self, *, status: int, code: str, detail: str) -> None:
        """The entry of a refusal, after the rollback: nothing of its effects took place."""
        self.effects = Effects(subject=self.asked.subject)
        with transaction.atomic():
            insert(self._entry(status=status, code=code, detail=detail))

    def _entry(self, *, status: int, code: str = "", detail: str = "") -> JournalEntry:
        return JournalEntry(
            source=self.source,
            at=timezone.now(),
            trace_id=self.actor.trace_id,
            token=self.token,
            address=self.actor.address,
            method=self.asked.method[:8],
            resource=self.asked.resource[:32],
            subject=self.effects.subject[:64],
            place=self.asked.place,
            status=status,
            code=code,
            effects=self.effects.attributes,
            counts=self.effects.counts,
            milliseconds=min(int((time.monotonic() - self._began) * 1000), 2**31 - 1),
            sealed=_sealed(self.actor.trace_id, self.asked.sent, detail),
        )


def read_sealed(entry: JournalEntry) -> dict[str, Any]:
    """What was sent and answered: {sent, detail}. An entry that cannot be opened says so under `detail`."""
    if not entry.sealed:
        return {}
    try:
        found = json.loads(crypto.unseal(entry.sealed, context=_context(entry.trace_id)))
    except crypto.UnsealError:
        return {"detail": "What was sent cannot be opened: it is damaged, or its key is gone."}
    return found if isinstance(found, dict) else {}


def forget_expired(*, now: datetime) -> int:
    """Delete what is past its retention: reads earlier than the rest. Returns how many."""
    reads = JournalEntry.objects.filter(method__in=READS, at__lt=now - limits.SCIM_JOURNAL_READS_RETENTION)
    others = JournalEntry.objects.filter(at__lt=now - limits.SCIM_JOURNAL_RETENTION)
    return reads._raw_delete("default") + others._raw_delete("default")


def _sealed(trace_id: str, sent: Any, detail: str) -> str:
    content: dict[str, Any] = {}
    if sent not in (None, {}, ""):
        text = json.dumps(_without_secrets(sent), ensure_ascii=False, separators=(",", ":"), default=str)
        content["sent"] = text[: limits.SCIM_JOURNAL_BYTES]
        if len(text) > limits.SCIM_JOURNAL_BYTES:
            content["cut"] = len(text)
    if detail:
        content["detail"] = detail[:2000]
    if not content:
        return ""
    return crypto.seal(json.dumps(content, ensure_ascii=False).encode(), context=_context(trace_id))


def _without_secrets(value: Any) -> Any:
    """The value without passwords, which nobody may send and some do."""
    if isinstance(value, Mapping):
        return {name: _without_secrets(one) for name, one in value.items() if "password" not in str(name).lower()}
    if isinstance(value, list):
        if any(isinstance(one, Mapping) and "password" in str(one.get("path", "")).lower() for one in value):
            value = [
                one
                for one in value
                if not (isinstance(one, Mapping) and "password" in str(one.get("path", "")).lower())
            ]
        return [_without_secrets(one) for one in value]
    return value


def _context(trace_id: str) -> str:
    return f"inbound.JournalEntry.sealed.{trace_id}"
