"""The rows of the delivery ledger on which items rely."""

from collections.abc import Iterable
from typing import Any

from broker.delivery.digests import canonical_row
from broker.delivery.models import Delivery
from provisioning.leaver.digests import time_text
from provisioning.leaver.models import Item

UNFINISHED = (Delivery.State.PENDING, Delivery.State.DELIVERING, Delivery.State.RETRYING)


def rows_of(kind: str, subject: str, lanes: Iterable[str]) -> dict[str, list[Delivery]]:
    """{lane: the rows of this kind about the subject, the newest first}, without those whose work another row does."""
    rows = Delivery.objects.filter(kind=kind, subject=subject, lane__in=list(lanes))
    found: dict[str, list[Delivery]] = {}
    for row in rows.exclude(state=Delivery.State.SUPERSEDED).order_by("-id"):
        found.setdefault(row.lane, []).append(row)
    return found


def rows_by_reference(references: Iterable[str]) -> dict[str, list[Delivery]]:
    """{reference: its rows}, without those whose work another row does."""
    rows = Delivery.objects.filter(reference__in=list(references)).exclude(state=Delivery.State.SUPERSEDED)
    found: dict[str, list[Delivery]] = {}
    for row in rows.order_by("-id"):
        found.setdefault(row.reference, []).append(row)
    return found


def keep_proof(item: Item, row: Delivery) -> None:
    """Keep a copy of a settled row with the item: the ledger forgets earlier than a case does."""
    item.proof = {**item.proof, str(row.pk): entry_of(row)}


def entry_of(row: Delivery) -> dict[str, Any]:
    """The row as its digest in the book is computed, with its attempts."""
    attempts = row.history.order_by("number")
    return {
        "row": canonical_row(row),
        "attempts": [
            {
                "number": attempt.number,
                "began_at": time_text(attempt.began_at),
                "ended_at": time_text(attempt.ended_at),
                "outcome": str(attempt.outcome),
                "code": attempt.code,
                "status": attempt.status,
                "detail": attempt.detail,
                "digest": attempt.digest,
            }
            for attempt in attempts
        ],
    }
