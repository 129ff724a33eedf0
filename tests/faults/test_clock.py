"""The clock that many processes share: it moves them all, and their children."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.faults.clock import VARIABLE, Clock
from tests.services.broker import ROOT

CLOSE = 0.1
"""Seconds by which two processes may differ."""
PROGRAM = """
import os, sys, time
from datetime import UTC, datetime
from tests.faults.clock import follow_environment
follow_environment()
from django.utils import timezone
if sys.argv[1:] == ["child"] and os.fork() > 0:
    os.wait()
    sys.exit(0)
sys.stdout.write("ready\\n")
for line in sys.stdin:
    sys.stdout.write(f"{timezone.now().timestamp()} {time.time()} {datetime.now(UTC).timestamp()}\\n")
    sys.stdout.flush()
"""


def tell(clock: Clock, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-uc", PROGRAM, *arguments],
        cwd=ROOT,
        env={**os.environ, VARIABLE: str(clock.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def times_of(process: subprocess.Popen[str]) -> list[float]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("now\n")
    process.stdin.flush()
    return [float(word) for word in process.stdout.readline().split()]


def is_ahead(process: subprocess.Popen[str], by: timedelta) -> bool:
    began = time.time()
    shown = times_of(process)
    return all(began - CLOSE <= one - by.total_seconds() <= time.time() + CLOSE for one in shown)


def test_every_process_follows_it_and_so_do_its_children(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    processes = [tell(clock), tell(clock, "child")]
    try:
        assert all(is_ahead(process, timedelta()) for process in processes)
        clock.advance(timedelta(hours=1))
        assert all(is_ahead(process, timedelta(hours=1)) for process in processes)
        clock.advance(timedelta(minutes=20))
        processes.append(tell(clock))
        assert all(is_ahead(process, timedelta(hours=1, minutes=20)) for process in processes)
        assert abs((clock.now() - datetime.now(UTC)).total_seconds() - 4800) < 1
    finally:
        for process in processes:
            process.communicate()
