"""Leases: tokens of what a process holds for a while, by which others of the same machine can tell that it is dead.

A lease ends by itself after its time. One of a process that is known to be gone, or of our own that could not give it
back, need not be waited for.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

PROC = Path("/proc")
STARTED = 19
"""Place of the start time among the fields of /proc/<pid>/stat behind the name in brackets (proc(5): field 22)."""

UNKNOWN = "unknown"
ABANDONED_MAX = 1_000
"""Leases that are remembered; the others end by themselves."""
_abandoned: dict[str, None] = {}


def new_lease() -> str:
    """A token of its own for one claim, with this process's name behind it."""
    pid = os.getpid()
    return f"{secrets.token_hex(16)}@{_machine()}/{pid}/{_started(pid)}"


@contextmanager
def holding(lease: str) -> Iterator[None]:
    """Abandon the lease where the block fails: the database that would take it back may be what is away."""
    try:
        yield
    except Exception:
        while len(_abandoned) >= ABANDONED_MAX:
            _abandoned.pop(next(iter(_abandoned)), None)
        _abandoned[lease] = None
        raise


def is_dead(lease: str) -> bool:
    """Whether nobody holds this lease any more: its process was one of this machine and is gone, or we abandoned it.

    False where nobody can tell.
    """
    if lease in _abandoned:
        return True
    machine, _, process = lease.partition("@")[2].partition("/")
    pid, _, started = process.partition("/")
    if not machine or machine != _machine() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # Another account's.
    return _started(int(pid)) not in {started, UNKNOWN}


@cache
def _machine() -> str:
    """The kernel's boot and the namespace in which process ids count; "" where the system does not tell."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink(PROC / "self/ns/pid").strip("pid:[]")  # noqa: PTH115 - no path, and its letters
    except OSError:
        return ""
    return f"{boot}.{namespace}"


def _started(pid: int) -> str:
    """When the process with this id started, in ticks since the boot; for one that only waits to be buried, never."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return UNKNOWN
    return "never" if fields[0] in "ZX" else fields[STARTED]
