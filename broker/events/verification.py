"""Verification of the book: events against seals, seals against each other, and seals against the seal log.

Nothing here trusts what it reads: every place that was changed, removed, inserted, reordered or cut off is named.
What can only be stated (the unsealed tail, what was pruned, how much was looked at) is kept apart from problems.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.utils.module_loading import import_string

from broker import limits
from broker.errors import BrokerError
from broker.events.catalogue import EVENTS_PRUNED
from broker.events.log_witness import LogWitness
from broker.events.models import Event, Seal
from broker.events.ranges import FIRST_ID, LAST_ID, UNREADABLE, Range, describe, find_events, read_ranges, subtract
from broker.events.report import Verification
from broker.events.sealing import GENESIS, open_gaps, seal_digest
from broker.events.segment import Segment

SEALS_PER_PAGE = 50
Progress = Callable[[int, int], None]


def verify_book(log_path: Path, *, now: datetime, progress: Progress | None = None) -> Verification:
    """Look at every seal, every sealed event and every line of the seal log at `log_path`.

    The memory used does not grow with the book. `progress` is called with the events and seals looked at so far.
    """
    return _Verifier(log_path, now, progress).run()


@dataclass(frozen=True, slots=True)
class _Pruning:
    """What the newest EVENTS_PRUNED event says; it accounts for every seal up to `last_seal`."""

    event_id: int
    at: datetime
    last_seal: int
    digest: str


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
        self.log = LogWitness(log_path, self.outcome)
        self.pruning = _find_pruning()
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
        pending = self._pending_gaps()
        self._check_open_gaps(pending)
        self._check_tail(pending)
        self._state_what_was_pruned()
        return self.outcome

    def _all_seals(self) -> Iterator[Seal]:
        after = 0
        while ids := list(
            Seal.objects.filter(id__gt=after).order_by("id").values_list("id", flat=True)[:SEALS_PER_PAGE]
        ):
            try:
                seals = {seal.id: seal for seal in Seal.objects.filter(id__in=ids) if _is_readable(seal)}
            except UNREADABLE:
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
        found = Segment(seal, ranges)
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
            self.outcome.add(_describe_events([(first, last)]), f"removed, although seal {seal.id} holds it")
        for number in found.changed:
            self.outcome.add(f"event {number}", f"changed since seal {seal.id} was made")
        if not found.missing and not found.changed:
            self.outcome.add(_describe_events(ranges), f"one or more of them changed since seal {seal.id} was made")

    def _check_pruned(self, seal: Seal, ranges: list[Range]) -> None:
        self.pruned_seals += 1
        self.pruned_events += seal.count
        place = f"seal {seal.id}"
        if self.pruning is None or self.pruning.last_seal < seal.id:
            # It may have been pruned since we began.
            self.pruning = _find_pruning()
        if self.pruning is None or self.pruning.last_seal < seal.id:
            self.outcome.add(place, f"its events were deleted, but no {EVENTS_PRUNED.name} event accounts for it")
        elif seal.id == self.pruning.last_seal and seal.digest != self.pruning.digest:
            self.outcome.add(place, f"is not the seal that event {self.pruning.event_id} says was pruned")
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

    def _pending_gaps(self) -> list[Range]:
        try:
            return open_gaps(self.previous)
        except ValueError:
            # A recent seal does not name its events, which was reported; what stands in its gap is.
            return []

    def _check_open_gaps(self, pending: list[Range]) -> None:
        for _, gap in self.gaps:
            self._check_gap(subtract(gap, pending))
        if self.previous is None:
            self._check_gap([(FIRST_ID, 0)])

    def _check_gap(self, gap: list[Range]) -> None:
        for event_id in self._ids_in(gap):
            self.outcome.add(f"event {event_id}", "inserted: no seal holds it, though seals go beyond it")

    def _check_tail(self, pending: list[Range]) -> None:
        count, oldest = 0, None
        above = (self.previous.until_id + 1 if self.previous else 1, LAST_ID)
        for event in find_events([*pending, above], on_unreadable=self._report_unreadable):
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
                f" last on {self.pruning.at:%Y-%m-%d} (event {self.pruning.event_id})."
            )

    def _report_unreadable(self, event_id: int) -> None:
        self.outcome.add(f"event {event_id}", "cannot be read, and is not sealed yet")

    def _ids_in(self, ranges: list[Range]) -> Iterator[int]:
        unreadable: list[int] = []
        for event in find_events(ranges, on_unreadable=unreadable.append):
            yield event.id
        yield from unreadable


def _describe_events(ranges: list[Range]) -> str:
    """`event 17` or `events 3, 5-9`."""
    single = len(ranges) == 1 and ranges[0][0] == ranges[0][1]
    return f"event{'' if single else 's'} {describe(ranges)}"


def _find_pruning() -> _Pruning | None:
    try:
        event = Event.objects.filter(type=EVENTS_PRUNED.name).order_by("-id").first()
        return _Pruning(event.id, event.at, int(event.details["last_seal"]), event.details["digest"]) if event else None
    except (*UNREADABLE, KeyError):
        # Somebody broke the event; it is reported under its own seal, and accounts for nothing.
        return None


def _read_seal(seal_id: int) -> Seal | None:
    """The seal, or None when a column holds what no seal can hold."""
    try:
        seal = Seal.objects.get(id=seal_id)
    except UNREADABLE:
        return None
    return seal if _is_readable(seal) else None


def _is_readable(seal: Seal) -> bool:
    # SQLite keeps whatever somebody writes into a column, of any type.
    return type(seal.count) is int and type(seal.until_id) is int and isinstance(seal.at, datetime)
