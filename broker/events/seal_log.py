"""The seal log: one JSON line for each seal, in a file outside the database, append-only.

A cut of the book's tail leaves no trace in the database; the line of a seal that is gone gives it away. The first
line says after which seal the file begins. Ship the file elsewhere; do not rotate it.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from broker.events.models import Seal

TAIL_BYTES = 64 * 1024
LINE_CHARS = 16 * 1024


class NotASealLog(OSError):
    """The file holds something else: nothing is appended to it."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line: `number` counts from 1; `seal` is the seal's id, or None in the head line, whose seal is `after`.

    `members` is the JSON object, empty when the line cannot be read.
    """

    number: int
    members: dict[str, Any]

    @property
    def seal(self) -> int | None:
        """The id of the seal, or None where the line is a head line or cannot be read."""
        return _number(self.members.get("seal"))

    @property
    def after(self) -> int | None:
        """In a head line, the id of the last seal that is not in this file."""
        return _number(self.members.get("after"))


def write_missing(path: Path, *, now: datetime) -> int:
    """Append a line for each seal after the last one in the file, and see them to the disk. Returns how many.

    A new file begins after the seals that exist by then: one that vanished is not quietly written again.
    Raises OSError, and NotASealLog for a file with something else in it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "rb+", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = []
        tail = _read_tail(file.fileno())
        if not tail:
            last = Seal.objects.order_by("-id").values_list("id", flat=True).first() or 0
            lines.append({"after": last, "at": _text(now)})
        else:
            last = _last_seal(tail, path)
        missing = Seal.objects.filter(id__gt=last).order_by("id").defer("ids", "row_marks")
        lines += [line_of(seal) for seal in missing.iterator(chunk_size=1000)]
        if lines:
            text = "".join(json.dumps(line, sort_keys=True, separators=(",", ":")) + "\n" for line in lines)
            # A line that a full disk tore stays torn, and the next one begins below it.
            _write_all(file.fileno(), (b"" if not tail or tail.endswith(b"\n") else b"\n") + text.encode())
            os.fsync(file.fileno())
    return sum("seal" in line for line in lines)


def read_lines(path: Path) -> Iterator[LogLine]:
    """The lines in order; one that is not a JSON object has no members. Raises OSError."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LINE_CHARS):
            number += 1
            yield LogLine(number, _parse(line))


def read_last_seal(path: Path) -> int:
    """The id of the last seal that the file knows of. Raises OSError, and NotASealLog when it knows of none."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _last_seal(_read_tail(descriptor), path)
    finally:
        os.close(descriptor)


def line_of(seal: Seal) -> dict[str, Any]:
    """What the log says of a seal."""
    return {
        "seal": seal.id,
        "at": _text(seal.at),
        "count": seal.count,
        "until_id": seal.until_id,
        "previous_digest": seal.previous_digest,
        "digest": seal.digest,
        "signature": seal.signature,
    }


def _read_tail(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _last_seal(tail: bytes, path: Path) -> int:
    for number, line in enumerate(reversed(tail.splitlines())):
        parsed = LogLine(number, _parse(line))
        found = parsed.seal if parsed.seal is not None else parsed.after
        if found is not None:
            return found
    raise NotASealLog(f"{path} is not a seal log")


def _parse(line: bytes) -> dict[str, Any]:
    try:
        members = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
