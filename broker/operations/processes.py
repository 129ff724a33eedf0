"""Programs that are started, watched and stopped together."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, BinaryIO

from broker.operations.watchman import KILL_AFTER

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOG_BYTES = 5 * 1024 * 1024
"""A log that is larger at a start is put aside."""
LAST_LINES = 12
POLL = 0.05
SAME_WISH = 1.0
"""Signals within this many seconds are one wish to stop: a shell and a terminal may both send theirs."""
REVIVED_AFTER = 5.0
"""A program that ran for fewer seconds cannot run at all, and is reported."""
REVIVALS, REVIVALS_WITHIN = 5, 60.0
"""One that ends more often than so many times in so many seconds is reported too."""
IDLE = 1.0
"""Seconds between two looks at programs that all run; a program that ends wakes us at once."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run: `name` for people and for its log file, and what its environment has beside ours."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    is_revived: bool = False
    """Whether it is started again when it ends by itself, for one that may do so where another service goes away."""


class ProgramStopped(Exception):
    """A program ended by itself, or did not become ready; the text ends with the last lines of its log."""


class StopAsked(Exception):
    """A signal asks to stop."""


@dataclass(slots=True)
class _Running:
    program: Program
    process: subprocess.Popen[bytes]
    log: Path
    log_start: int
    began: float
    """By the monotonic clock."""

    def last_lines(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self.log_start)
            lines = log.read()[-LOG_BYTES:].decode(errors="replace").splitlines()
        text = "\n".join(f"  {line}" for line in lines[-LAST_LINES:])
        return f"\nThe last lines of {self.log}:\n{text}" if text else f"\nIt wrote nothing to {self.log}."


class Supervisor:
    """Runs programs, each in a process group of its own, so that a Ctrl-C reaches us alone and we stop them in order.

    A context manager: at its end every program and whatever it started is gone, within `KILL_AFTER` seconds and a
    moment. If we ourselves are killed, the watchman does the same.
    """

    def __init__(self, log_folder: Path, *, working_folder: Path) -> None:
        self.log_folder = log_folder
        self.working_folder = working_folder
        self._running: list[_Running] = []
        self._revivals: list[float] = []
        self._stop_asked_at: float | None = None
        self._is_hurried = False
        self._handlers_before: dict[int, Any] = {}
        self._woken, self._waker = os.pipe()
        self._watchman: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Supervisor":
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            self._handlers_before[number] = signal.signal(number, self._ask_to_stop)
        self._handlers_before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _wake)
        self._watchman = subprocess.Popen(
            [sys.executable, "-m", "broker.operations.watchman"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.working_folder,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()
        if self._watchman and self._watchman.stdin:
            self._watchman.stdin.close()
            self._watchman.wait()
        signal.set_wakeup_fd(-1)
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        os.close(self._woken)
        os.close(self._waker)

    def start(self, program: Program) -> None:
        """Start a program; what it prints goes to `<log folder>/<name>.log`."""
        path = self.log_folder / f"{program.name}.log"
        with _open_log(path) as log:
            # Before it runs: what it writes moves the place in the file for us too.
            start = log.tell()
            process = subprocess.Popen(  # noqa: S603 - the commands are our own
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.working_folder,
                env={**os.environ, **program.environment},
                start_new_session=True,
            )
            self._running.append(_Running(program, process, path, start, time.monotonic()))
        self._tell_watchman(f"+{process.pid}")

    def wait_until(self, is_ready: Callable[[], bool], *, what: str, seconds: float) -> None:
        """Return once `is_ready` says so. Raises ProgramStopped (also after `seconds`) and StopAsked."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            self._look(POLL)
            if time.monotonic() > deadline:
                logs = "".join(one.last_lines() for one in self._running)
                raise ProgramStopped(f"{what} was not ready after {seconds:.0f} seconds.{logs}")

    def watch(self) -> None:
        """Return when a signal asks to stop. Raises ProgramStopped when a program ends by itself and is not revived."""
        with contextlib.suppress(StopAsked):
            while True:
                self._look(IDLE)

    def _look(self, seconds: float) -> None:
        ended = [one for one in self._running if one.process.poll() is not None]
        for one in ended:
            if one.program.is_revived and self._stop_asked_at is not None:
                raise StopAsked
            code = one.process.returncode
            how = f"exit code {code}" if code >= 0 else f"signal {-code}"
            if not self._may_revive(one):
                raise ProgramStopped(f"{one.program.name} stopped by itself ({how}).{one.last_lines()}")
            sys.stderr.write(f"countersign: {one.program.name} stopped by itself ({how}) and is started again\n")
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(one.process.pid, signal.SIGKILL)
            self._running.remove(one)
            self._tell_watchman(f"-{one.process.pid}")
            self.start(one.program)
        if self._stop_asked_at is not None:
            raise StopAsked
        if select.select([self._woken], [], [], seconds)[0]:
            os.read(self._woken, 4096)

    def _may_revive(self, one: _Running) -> bool:
        now = time.monotonic()
        self._revivals = [at for at in self._revivals if now - at < REVIVALS_WITHIN]
        if not one.program.is_revived or now - one.began < REVIVED_AFTER or len(self._revivals) >= REVIVALS:
            return False
        self._revivals.append(now)
        return True

    def _stop(self) -> None:
        for one in self._running:
            one.process.terminate()
        deadline = time.monotonic() + KILL_AFTER
        while any(one.process.poll() is None for one in self._running):
            if time.monotonic() > deadline or self._is_hurried:
                break
            select.select([self._woken], [], [], POLL)
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 4096)
        for one in self._running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait()
            self._tell_watchman(f"-{one.process.pid}")
        self._running.clear()

    def _tell_watchman(self, line: str) -> None:
        if self._watchman and self._watchman.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._watchman.stdin.write(f"{line}\n".encode())
                self._watchman.stdin.flush()

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._stop_asked_at is None:
            self._stop_asked_at = now
        # Who asks again does not want to wait.
        self._is_hurried = now - self._stop_asked_at > SAME_WISH


def _wake(_number: int, _frame: FrameType | None) -> None:
    """The signal itself has written to the wake-up pipe."""


def _open_log(path: Path) -> BinaryIO:
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    log = path.open("ab")
    log.seek(0, os.SEEK_END)
    return log
