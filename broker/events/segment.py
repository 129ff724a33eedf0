"""The events under one seal as the book holds them now, against what the seal says."""

import hashlib
from collections.abc import Iterator

from broker.events.models import Seal
from broker.events.ranges import Range, find_events, subtract
from broker.events.sealing import MARK_CHARS, row_digest


class Segment:
    """Read once: how many events are there, which are `missing`, and which `changed` as far as the marks tell."""

    def __init__(self, seal: Seal, ranges: list[Range]) -> None:
        self.count = 0
        self.changed: list[int] = []
        rows = hashlib.sha256()
        present: list[Range] = []
        position = 0
        before = 0
        for event_id, digest in _digests(ranges):
            while event_id > ranges[position][1]:
                before += ranges[position][1] - ranges[position][0] + 1
                position += 1
            index = before + event_id - ranges[position][0]
            mark = seal.row_marks[index * MARK_CHARS : (index + 1) * MARK_CHARS]
            if digest.hex()[:MARK_CHARS] != mark:
                self.changed.append(event_id)
            rows.update(digest)
            present.append((event_id, event_id))
            self.count += 1
        self.missing = subtract(ranges, present)
        self.is_intact = rows.hexdigest() == seal.rows_digest


def _digests(ranges: list[Range]) -> Iterator[tuple[int, bytes]]:
    unreadable: list[int] = []
    for event in find_events(ranges, on_unreadable=unreadable.append):
        while unreadable and unreadable[0] < event.id:
            yield unreadable.pop(0), b""
        yield event.id, row_digest(event)
    for event_id in unreadable:
        yield event_id, b""
