"""The digest of an item: SHA-256 over the canonical JSON of what it claims. The offline verifier computes it alike."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from provisioning.leaver.models import Item

FORMAT = 1
"""Goes into every digest; another way to compute them gets another number."""
CLAIMED = (
    "kind",
    "reference",
    "title",
    "state",
    "code",
    "since",
    "deadline",
    "until",
    "settled_at",
    "evidence",
    "digest",
    "delivery",
    "event",
    "read_again_at",
    "read_again_delivery",
    "late_at",
    "lied_at",
    "returned_at",
    "acknowledged_by",
    "note",
)
"""The columns that say how a door ended; what is not here only says when to look again."""


def claim_of(item: Item) -> dict[str, Any]:
    """The item as it stands in an export: JSON, times in UTC with microseconds."""
    return {"case": str(item.case_id)} | {name: _plain(getattr(item, name)) for name in CLAIMED}


def item_digest(item: Item) -> str:
    """Hex. Changes whenever the item claims something else."""
    return digest_of({"format": FORMAT} | claim_of(item))


def digest_of(value: Mapping[str, Any]) -> str:
    """Hex SHA-256 of canonical JSON: sorted, without spaces, ASCII."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def time_text(at: datetime | None) -> str:
    """UTC with microseconds, as the book writes times into its digests; "" for no time."""
    return "" if at is None else at.astimezone(UTC).isoformat(timespec="microseconds")


def _plain(value: Any) -> Any:
    return time_text(value) if isinstance(value, datetime) else value
