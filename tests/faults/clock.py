"""One injected clock for many processes: a file holds the seconds by which all of them are ahead.

The product has no switch for this. The suite's own entries (`entry`, `zygote`) put it below the product before that
is imported; what is measured as a duration (monotonic clocks) is not shifted, as it would not be by a real clock.
"""

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

POLL_SECONDS = 0.05
VARIABLE = "FAULTS_CLOCK"


class Clock:
    """The hand that sets it, in the process of the test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._write(0.0)

    @property
    def offset(self) -> timedelta:
        return timedelta(seconds=read_offset(self.path))

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def advance(self, by: timedelta) -> None:
        """All processes are there within a tenth of a second; this returns after that."""
        self._write(read_offset(self.path) + by.total_seconds())
        time.sleep(2 * POLL_SECONDS)

    def _write(self, seconds: float) -> None:
        draft = self.path.with_suffix(".draft")
        draft.write_text(repr(seconds))
        draft.replace(self.path)


def read_offset(path: Path) -> float:
    return float(path.read_text())


def follow_environment() -> None:
    """Live by the clock that the environment names; without one by the machine's."""
    path = os.environ.get(VARIABLE)
    if path:
        follow(Path(path))


def follow(path: Path) -> None:
    """Live by this clock from now on, in this process and its children."""
    offset = read_offset(path)
    traveller = time_machine.travel(datetime.now(UTC) + timedelta(seconds=offset), tick=True)
    coordinates = traveller.start()
    # Starting takes a while, by which everything would be behind the machine's clock.
    coordinates.shift(time_machine.escape_hatch.time.time() + offset - time.time())
    applied = [offset]

    def poll() -> None:
        wait = threading.Event()
        while not wait.wait(POLL_SECONDS):
            try:
                wanted = read_offset(path)
            except FileNotFoundError:
                return  # the world ended before us
            if wanted != applied[0]:
                coordinates.shift(wanted - applied[0])
                applied[0] = wanted

    def start() -> None:
        threading.Thread(target=poll, name="clock", daemon=True).start()

    start()
    # A child has the shifted time and none of the threads.
    os.register_at_fork(after_in_child=start)
