"""Verification of the book: events against seals, seals against each other, and seals against the seal log.

Nothing here trusts what it reads: every place that was changed, removed, inserted, reordered or cut off is named.
What can only be stated (the unsealed tail, what was pruned, how much was looked at) is kept apart from problems.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from broker import limits
from broker.errors import BrokerError
from broker.events import seal_log
from broker.events.catalogue import EVENTS_PRUNED
from broker.events.models import Event, Seal
from broker.events.ranges import FIRST_ID, Range, describe, find_events, read_ranges, subtract
from broker.events.seal_log import LogLine
from broker.events.sealing import GENESIS, MARK_CHARS, open_gaps, row_digest, seal_digest, unsealed_ranges

PROBLEMS_MAX = 1_000
SEALS_PER_PAGE = 50
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was sealed: `place` is `event 17`, `seal 3` or `line 9 of the seal log`."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(slots=True)
class Verification:
    """The outcome: at most `PROBLEMS_MAX` problems are kept, `problem_count` counts them all."""

    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    statements: list[str] = field(default_factory=list)
    events: int = 0
    seals: int = 0
    lines: int = 0

    def add(self, place: str, text: str) -> None:
        """Count one more problem."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(place, text))


def verify_book(log_path: Path, *, now: datetime, progress: Progress | None = None) -> Verification:
    """Look at every seal, every sealed event and every line of the seal log at `log_path`.

    The memory used does not grow with the book. `progress` is called with the events and seals looked at so far.
    """
    return _Verifier(log_path, now, progress).run()


class _Verifier:
    """One pass in the order of the seals, with the log read alongside."""

    def __init__(self, log_path: Path, now: datetime, progress: Progress | None) -> None:
        self.now = now
        self.progress = progress
        self.outcome = Verification()
        self.verify_head: Callable[[str, str], None] = import_string(settings.EVENT_HEAD_VERIFIER)
        self.previous: Seal | None = None
        self.gaps: list[tuple[datetime, list[Range]]] = []
        self.until_id = FIRST_ID - 1
        self.log = _LogReader(log_path, self.outcome)
        self.pruning = Event.objects.filter(type=EVENTS_PRUNED.name).order_by("-id").first()
        self.pruned_seals = 0
        self.pruned_events = 0

    def run(self) -> Verification:
        for seal in self._all_seals():
            self._check_chain(seal)
            self.log.compare(seal, now=self.now)
            if ranges := self._check_ranges(seal):
                self._check_events(seal, ranges)
                self._remember_gaps(seal, ranges)
            self.previous = seal
            self.outcome.seals += 1
            if self.progress:
                self.progress(self.outcome.events, self.outcome.seals)
        self.log.finish()
        self._check_gaps_at_the_end()
        self._check_tail()
        self._state_what_was_pruned()
        return self.outcome

    def _all_seals(self) -> Iterator[Seal]:
        after = 0
        while ids := list(
            Seal.objects.filter(id__gt=after).order_by("id").values_list("id", flat=True)[:SEALS_PER_PAGE]
        ):
            try:
                seals = {seal.id: seal for seal in Seal.objects.filter(id__in=ids) if _is_readable(seal)}
            except (ValueError, TypeError):
                seals = {seal.id: seal for seal in map(_read_seal, ids) if seal}
            for seal_id in ids:
                if seal := seals.get(seal_id):
                    yield seal
                else:
                    self.outcome.add(f"seal {seal_id}", "was changed: it cannot be read")
            after = ids[-1]

    # --- One seal ---------------------------------------------------------------------------------------------------
    def _check_chain(self, seal: Seal) -> None:
        place = f"seal {seal.id}"
        expected = self.previous.digest if self.previous else GENESIS
        if seal.previous_digest != expected:
            before = f"seal {self.previous.id}" if self.previous else "the beginning"
            self.outcome.add(place, f"does not continue {before}: a seal was removed, inserted or moved")
        if seal_digest(seal) != seal.digest:
            self.outcome.add(place, "was changed: its digest does not follow from its columns")
        try:
            self.verify_head(seal.digest, seal.signature)
        except BrokerError as error:
            self.outcome.add(place, f"its signature does not hold ({error.code})")

    def _check_ranges(self, seal: Seal) -> list[Range]:
        try:
            ranges = read_ranges(seal.ids)
        except ValueError:
            ranges = []
        if not ranges or sum(last - first + 1 for first, last in ranges) != seal.count:
            self.outcome.add(f"seal {seal.id}", "names no usable set of events: its events cannot be looked at")
            return []
        return ranges

    def _check_events(self, seal: Seal, ranges: list[Range]) -> None:
        if seal.pruned_at is not None:
            self._check_pruned(seal, ranges)
            return
        found = _SegmentRead(seal, ranges)
        if found.is_intact:
            self.outcome.events += found.count
            return
        if Seal.objects.filter(id=seal.id).exclude(pruned_at=None).exists():
            # It was pruned while we were reading.
            seal.refresh_from_db()
            self._check_pruned(seal, ranges)
            return
        self.outcome.events += found.count
        for first, last in found.missing:
            self.outcome.add(describe_events([(first, last)]), f"removed, although seal {seal.id} holds it")
        for number in found.changed:
            self.outcome.add(f"event {number}", f"changed since seal {seal.id} was made")
        if not found.missing and not found.changed:
            self.outcome.add(describe_events(ranges), f"one or more of them changed since seal {seal.id} was made")

    def _check_pruned(self, seal: Seal, ranges: list[Range]) -> None:
        self.pruned_seals += 1
        self.pruned_events += seal.count
        place = f"seal {seal.id}"
        details: dict[str, Any] = self.pruning.details if self.pruning else {}
        last_seal = details.get("last_seal")
        if self.pruning is None or not isinstance(last_seal, int) or seal.id > last_seal:
            self.outcome.add(place, f"its events were deleted, but no {EVENTS_PRUNED.name} event accounts for it")
        elif seal.id == last_seal and seal.digest != details.get("digest"):
            self.outcome.add(place, f"is not the seal that event {self.pruning.id} says was pruned")
        elif seal.at > self.pruning.at - limits.EVENT_RETENTION:
            self.outcome.add(place, "its events were deleted before the end of their retention")
        for event_id in self._ids_in(ranges):
            self.outcome.add(f"event {event_id}", f"inserted: seal {seal.id}, which holds this id, was pruned")

    # --- Between the seals ------------------------------------------------------------------------------------------
    def _remember_gaps(self, seal: Seal, ranges: list[Range]) -> None:
        # Late events are sealed by a later seal within EVENT_LATENESS; a gap is looked at when twice that has passed.
        self.gaps = [(at, subtract(gap, ranges)) for at, gap in self.gaps]
        if seal.until_id > self.until_id:
            self.gaps.append((seal.at, subtract([(self.until_id + 1, seal.until_id)], ranges)))
            self.until_id = seal.until_id
        old = [gap for at, gap in self.gaps if at < seal.at - 2 * limits.EVENT_LATENESS]
        if old:
            self.gaps = [(at, gap) for at, gap in self.gaps if at >= seal.at - 2 * limits.EVENT_LATENESS]
            for gap in old:
                self._check_gap(gap)

    def _check_gaps_at_the_end(self) -> None:
        try:
            pending = open_gaps(self.previous)
        except ValueError:
            pending = []
        for _, gap in self.gaps:
            self._check_gap(subtract(gap, pending))
        if self.previous is None:
            self._check_gap([(FIRST_ID, 0)])

    def _check_gap(self, gap: list[Range]) -> None:
        for event_id in self._ids_in(gap):
            self.outcome.add(f"event {event_id}", "inserted: no seal holds it, though seals go beyond it")

    def _check_tail(self) -> None:
        count, oldest = 0, None
        for event in find_events(unsealed_ranges(self.previous), on_unreadable=self._report_unreadable):
            if not isinstance(event.at, datetime):
                self._report_unreadable(event.id)
                continue
            count += 1
            oldest = min(oldest or event, event, key=lambda candidate: candidate.at)
        if oldest is None:
            self.outcome.statements.append("Every event is sealed." if self.outcome.events else "There is no event.")
            return
        age = self.now - oldest.at
        self.outcome.statements.append(
            f"{count} events are not sealed yet, the oldest for {age.total_seconds():.0f} s:"
            " until they are, nothing shows whether they were changed or removed."
        )
        if age > limits.EVENT_UNSEALED_MAX:
            self.outcome.add(f"event {oldest.id}", f"not sealed for {age.total_seconds():.0f} s: no sealer runs")

    def _state_what_was_pruned(self) -> None:
        if self.pruned_seals and self.pruning:
            self.outcome.statements.append(
                f"{self.pruned_events} events under {self.pruned_seals} seals were pruned,"
                f" last on {self.pruning.at:%Y-%m-%d} (event {self.pruning.id})."
            )

    def _report_unreadable(self, event_id: int) -> None:
        self.outcome.add(f"event {event_id}", "cannot be read, and is not sealed yet")

    def _ids_in(self, ranges: list[Range]) -> Iterator[int]:
        unreadable: list[int] = []
        for event in find_events(ranges, on_unreadable=unreadable.append):
            yield event.id
        yield from unreadable


class _SegmentRead:
    """The events under one seal as the book now holds them, against what the seal says."""

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


class _LogReader:
    """The seal log, read line by line beside the seals."""

    def __init__(self, path: Path, outcome: Verification) -> None:
        self.outcome = outcome
        self.is_missing = False
        self.newest = 0
        self.begins_after = 0
        self.lines = self._read(path)
        self.line = next(self.lines, None)

    def compare(self, seal: Seal, *, now: datetime) -> None:
        """Bring the log up to `seal` and compare their lines."""
        while self.line is not None and self.line.seal is not None and self.line.seal < seal.id:
            self._report_removed(self.line)
            self.line = next(self.lines, None)
        if self.line is None or self.line.seal != seal.id:
            # A line follows its seal's commit within moments; it has the sealer's next run to do so.
            if not self.is_missing and (seal.id <= self.newest or now - seal.at > limits.EVENT_UNSEALED_MAX):
                self.outcome.add(f"seal {seal.id}", self._absence(seal))
            return
        if self.line.members != seal_log.line_of(seal):
            self.outcome.add(f"seal {seal.id}", f"is not what line {self.line.number} of the seal log says")
        self.line = next(self.lines, None)

    def finish(self) -> None:
        """What is left in the log was made while we were reading, or is gone from the book."""
        while self.line is not None:
            if not Seal.objects.filter(id=self.line.seal or 0, digest=str(self.line.members.get("digest"))).exists():
                self._report_removed(self.line)
            self.line = next(self.lines, None)

    def _absence(self, seal: Seal) -> str:
        if seal.id <= self.begins_after:
            return "is not in the seal log, which was begun after it: nothing outside the database vouches for it"
        return "is not in the seal log: the seal was inserted, or the log was cut"

    def _report_removed(self, line: LogLine) -> None:
        self.outcome.add(
            f"line {line.number} of the seal log",
            f"seal {line.seal} is gone from the book, and its {line.members.get('count')} events with it",
        )

    def _read(self, path: Path) -> Iterator[LogLine]:
        try:
            for line in seal_log.read_lines(path):
                self.outcome.lines += 1
                place = f"line {line.number} of the seal log"
                if line.seal is not None and line.seal <= self.newest:
                    self.outcome.add(place, f"seal {line.seal} stands below seal {self.newest}: lines were moved")
                elif line.seal is not None:
                    self.newest = line.seal
                    yield line
                elif line.after is not None and line.number == 1:
                    self.begins_after = self.newest = line.after
                else:
                    self.outcome.add(place, "cannot be read")
        except OSError as error:
            self.is_missing = True
            if Seal.objects.exists():
                self.outcome.add("the seal log", f"cannot be read ({error.strerror}): a cut of the tail would not show")


def describe_events(ranges: list[Range]) -> str:
    """`event 17` or `events 3, 5-9`."""
    single = len(ranges) == 1 and ranges[0][0] == ranges[0][1]
    return f"event{'' if single else 's'} {describe(ranges)}"


def _digests(ranges: list[Range]) -> Iterator[tuple[int, bytes]]:
    unreadable: list[int] = []
    for event in find_events(ranges, on_unreadable=unreadable.append):
        while unreadable and unreadable[0] < event.id:
            yield unreadable.pop(0), b""
        yield event.id, row_digest(event)
    for event_id in unreadable:
        yield event_id, b""


def _read_seal(seal_id: int) -> Seal | None:
    """The seal, or None when a column holds what no seal can hold."""
    try:
        seal = Seal.objects.get(id=seal_id)
    except (ValueError, TypeError):
        return None
    return seal if _is_readable(seal) else None


def _is_readable(seal: Seal) -> bool:
    # SQLite keeps whatever somebody writes into a column, of any type.
    return type(seal.count) is int and type(seal.until_id) is int and isinstance(seal.at, datetime)
