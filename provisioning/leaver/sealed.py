"""The part of the book on which an export stands: events in full, the seals over them, and the chain to the newest.

Of other people's events only the digests are handed out: a seal is over digests, so that they suffice.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker import limits
from broker.events.models import Seal
from broker.events.ranges import Range, find_events, read_ranges
from broker.events.sealing import canonical_header, header_digest, row_digest


@dataclass(frozen=True, slots=True)
class SealedPart:
    """`seals` are links of the chain in order; `segments` the digests of all rows under those that hold our events."""

    seals: list[dict[str, Any]] = field(default_factory=list)
    segments: list[dict[str, Any]] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)


def sealed_part(event_ids: Iterable[int]) -> SealedPart:
    """The chain from the first seal that holds one of these events to the newest one.

    An event that no seal holds yet is simply in none. The chain ends with the last seal that holds one of them where
    the newest is more than `limits.LEAVER_SEALS_IN_EXPORT` seals away.
    """
    wanted = set(event_ids)
    part = SealedPart()
    chain: list[tuple[Seal, list[Range]]] = []
    last = 0
    for seal, ranges in _chain(wanted):
        if ranges or chain:
            chain.append((seal, ranges))
            last = len(chain) if ranges else last
        if not wanted and len(chain) > limits.LEAVER_SEALS_IN_EXPORT:
            chain = chain[:last]
            break
    for index, (seal, ranges) in enumerate(chain):
        is_end = index == len(chain) - 1
        part.seals.append(_full(seal) if ranges or is_end else _link(seal))
        if ranges or is_end:
            part.signatures.append(seal.signature)
        if ranges:
            part.segments.append(_segment(seal, ranges))
    return part


def _chain(wanted: set[int]) -> Iterator[tuple[Seal, list[Range]]]:
    """Each seal from where the first wanted event may be, with its ranges when it holds one, else with none.

    What was found is taken out of `wanted`.
    """
    if not wanted:
        return
    seals = Seal.objects.filter(until_id__gte=min(wanted)).order_by("id").defer("row_marks")
    for seal in seals.iterator(chunk_size=1000):
        try:
            ranges = read_ranges(seal.ids)
        except ValueError:
            ranges = []
        held = {pk for pk in wanted if any(first <= pk <= last for first, last in ranges)}
        wanted -= held
        yield seal, ranges if held else []


def _segment(seal: Seal, ranges: Sequence[Range]) -> dict[str, Any]:
    """Digests of the rows by ascending id, "" where the book has none any more, and marks of when it was sealed."""
    unreadable: list[int] = []
    digests = {event.id: row_digest(event).hex() for event in find_events(ranges, on_unreadable=unreadable.append)}
    rows = [digests.get(pk, "") for first, last in ranges for pk in range(first, last + 1)]
    return {"seal": seal.pk, "rows": rows, "marks": seal.row_marks}


def _full(seal: Seal) -> dict[str, Any]:
    return {
        "seal": seal.pk,
        **canonical_header(seal),
        "rows_digest": seal.rows_digest,
        "previous_digest": seal.previous_digest,
        "digest": seal.digest,
        "signature": seal.signature,
    }


def _link(seal: Seal) -> dict[str, Any]:
    """Of a seal that holds none of our events, what its own digest follows from."""
    return {
        "seal": seal.pk,
        "header_digest": header_digest(seal).hex(),
        "rows_digest": seal.rows_digest,
    }
