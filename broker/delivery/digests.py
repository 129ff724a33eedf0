"""The digest of a settled row, which the book keeps: an edited row is found by whoever holds the book."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from broker.delivery.models import Delivery

FIELDS = (
    "id",
    "kind",
    "lane",
    "subject",
    "reference",
    "title",
    "payload",
    "priority",
    "must_arrive",
    "state",
    "reason",
    "detail",
    "status",
    "digest",
    "attempts",
    "cause_event_id",
    "trace_id",
    "actor",
    "created_at",
    "settled_at",
)
"""All but what only steers the carrying: hold, due and late times, leases, failures, and who superseded it."""


def canonical_row(delivery: Delivery) -> dict[str, Any]:
    """The row as JSON takes it: `FIELDS`, times in UTC as ISO 8601 with microseconds."""
    return {name: _plain(getattr(delivery, name)) for name in FIELDS}


def row_digest(delivery: Delivery) -> str:
    """SHA-256 (hex) of the canonical row as JSON: names sorted, no white space, UTF-8 unescaped."""
    text = json.dumps(canonical_row(delivery), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return str(value) if isinstance(value, str) else value
