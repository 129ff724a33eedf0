"""The seal log as a witness: read line by line beside the seals of the book."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from broker import limits
from broker.events import seal_log
from broker.events.models import Seal
from broker.events.report import Verification
from broker.events.seal_log import LogLine


class LogWitness:
    """Compares each seal, in ascending order, with its line; what does not fit goes into `outcome`."""

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
