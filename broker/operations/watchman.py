"""The watchman: ends the embedded start's processes when the one that started them was killed.

Run as a process of its own. It reads lines from its standard input: `+<pid>` and `-<pid>` name a process that leads
a process group and must not, or need no longer, be watched over. At the end of the input whoever is still named is
asked to stop, and after `KILL_AFTER` seconds killed together with its group.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

KILL_AFTER = 8.0
"""Seconds between asking a process to stop and killing its group."""
POLL = 0.1


def read_names(lines: Iterable[str]) -> set[int]:
    """The processes that are still named when `lines` end."""
    named: set[int] = set()
    for line in lines:
        number = int(line[1:])
        named = named | {number} if line.startswith("+") else named - {number}
    return named


def is_there(process: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def end(leaders: set[int], *, kill_after: float = KILL_AFTER) -> None:
    """Stop these processes and what they started, within `kill_after` seconds and a moment."""
    for leader in leaders:
        with contextlib.suppress(ProcessLookupError):
            os.kill(leader, signal.SIGTERM)
    deadline = time.monotonic() + kill_after
    while any(is_there(leader) for leader in leaders) and time.monotonic() < deadline:
        time.sleep(POLL)
    for leader in leaders:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


if __name__ == "__main__":
    end(read_names(sys.stdin))
