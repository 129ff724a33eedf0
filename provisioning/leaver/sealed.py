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
from broker.events.segment import Segment


@dataclass(slots=True)
class SealedPart:
    """`seals` are links of the chain in order; `segments` the digests of all rows under those that hold our events.

    A seal whose rows are not those that it was made over any more is among the segments too, and so named by whoever
    verifies. `newest` is the last seal that the book has, `read_until` the last one up to which all rows were read for
    this; 0 when there is none.
    """

    seals: list[dict[str, Any]] = field(default_factory=list)
    segments: list[dict[str, Any]] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    newest: int = 0
    read_until: int = 0


def sealed_part(event_ids: Iterable[int], *, rows: int | None) -> SealedPart:
    """The chain from the first seal that holds one of these events to the newest one.

    An event that no seal holds yet is simply in none. The chain ends with the last seal that holds one of them where
    the newest is more than `limits.LEAVER_SEALS_IN_EXPORT` seals away. Under seals that hold none of them at most
    `rows` rows are read, all of them when it is None: what was cut out of the book behind the last of these events
    shows there only.
    """
    wanted = set(event_ids)
    part = SealedPart(newest=Seal.objects.order_by("-id").values_list("id", flat=True).first() or 0)
    chain: list[_Link] = []
    last = 0
    for link in _chain(wanted):
        if link.is_ours or chain:
            chain.append(link)
            last = len(chain) if link.is_ours else last
        if not wanted and len(chain) > limits.LEAVER_SEALS_IN_EXPORT:
            chain = chain[:last]
            break
    is_read = True
    for index, link in enumerate(chain):
        seal = link.seal
        is_shown = link.is_ours
        if not is_shown and is_read:
            rows = None if rows is None else rows - seal.count
            is_read = rows is None or rows >= 0
            is_shown = is_read and bool(link.ranges) and not Segment(seal, link.ranges).is_intact
        if is_read:
            part.read_until = seal.pk
        is_full = is_shown or index == len(chain) - 1
        part.seals.append(_full(seal) if is_full else _link(seal))
        if is_full:
            part.signatures.append(seal.signature)
        if is_shown:
            part.segments.append(_segment(seal, link.ranges))
    return part


@dataclass(frozen=True, slots=True)
class _Link:
    """`ranges` is empty where the seal's ids cannot be read: then its digest does not follow from them either."""

    seal: Seal
    ranges: list[Range]
    is_ours: bool


def _chain(wanted: set[int]) -> Iterator[_Link]:
    """Each seal from where the first wanted event may be. What was found is taken out of `wanted`."""
    if not wanted:
        return
    # The marks of the few that are read come later: the chain may be long, and is held.
    seals = Seal.objects.filter(until_id__gte=min(wanted)).order_by("id").defer("row_marks")
    for seal in seals.iterator(chunk_size=1000):
        try:
            ranges = read_ranges(seal.ids)
        except ValueError:
            ranges = []
        held = {pk for pk in wanted if any(first <= pk <= last for first, last in ranges)}
        wanted -= held
        yield _Link(seal, ranges, bool(held))


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
