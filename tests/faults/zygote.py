"""A process that has imported everything and forks a worker per life, so that a life may be a tenth of a second long.

`Zygote` is the test's side. Connections are opened after the fork only: before it nothing has looked at a database or
a queue. Every life is the leader of a process group of its own, and so is killed with whatever it started.
"""

import contextlib
import faulthandler
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from tests.services.broker import ROOT

READY = "ready"
WORK = ("broker.delivery.tasks.carry", "broker.events.tasks.read_notices")
WORKER = (
    "worker --pool threads --concurrency 4 --loglevel warning --without-gossip --without-mingle --without-heartbeat"
)
"""As the product starts it (broker.operations.embedded), but that the schedule is a process of its own."""


class ZygoteEnded(Exception):
    """The text ends with its log."""


class Zygote:
    """Forks programs of Celery: `begin()` a life, `kill()` it. A context manager; all lives end with it."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._lives: set[int] = set()
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.zygote", str(log)],
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                text=True,
                bufsize=1,
            )
        self._hear(READY)

    def __enter__(self) -> "Zygote":
        return self

    def __exit__(self, *_error: object) -> None:
        self.end_lives()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def begin(self, arguments: str = WORKER) -> int:
        """Fork one. Returns its id, which is its process group's too."""
        pid = int(self._ask(f"fork {arguments}"))
        self._lives.add(pid)
        return pid

    def wait_for_work(self, pid: int, *, seconds: float) -> bool:
        """Until this life has begun to work, at most so long. Returns whether it has."""
        until, told = time.monotonic() + seconds, work_file(self.log, pid)
        while not told.exists():
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
        told.unlink()
        return True

    def kill(self, pid: int, number: int = signal.SIGKILL) -> bool:
        """End its whole group without a warning. Returns whether it was alive until then."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)
        self._lives.discard(pid)
        return self._ask(f"reap {pid}") == str(number)

    def end_lives(self) -> None:
        """All that are left, without a warning."""
        for pid in tuple(self._lives):
            self.kill(pid)

    def _ask(self, command: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        return self._hear()

    def _hear(self, wanted: str = "") -> str:
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        if not said or (wanted and said != wanted):
            raise ZygoteEnded(f"{said} {self.log.read_text(errors='replace')[-3000:]}")
        return said


def _serve(log: Path) -> None:
    """Do as standard input says until it ends: `fork <arguments of celery>` answers the id, `reap <id>` its end."""
    from tests.faults.entry import hurry_beat, prepare

    prepare()
    import django

    django.setup()
    hurry_beat()
    _import_all()
    os.environ["CELERY_SKIP_CHECKS"] = "true"  # Django's checks of the settings, a second time in each life
    _say(READY)
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        if command == "fork":
            pid = os.fork()
            if pid == 0:
                _live(rest.split(), log)
            with contextlib.suppress(PermissionError, ProcessLookupError):
                os.setpgid(pid, pid)  # it does so itself too: who comes first is left open
            _say(str(pid))
        else:
            _, status = os.waitpid(int(rest), 0)
            _say(str(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else f"status {os.WEXITSTATUS(status)}")


def _live(arguments: list[str], log: Path) -> None:
    """Be that program until somebody ends it. Does not return."""
    status = 1
    try:
        os.setpgid(0, 0)
        out = os.open(log, os.O_WRONLY | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        faulthandler.register(signal.SIGUSR1)  # where its threads stand, for whoever finds it stuck
        from celery.signals import task_prerun

        from broker.celery import app

        task_prerun.connect(_tell_of_work(log), weak=False)
        app.worker_main(arguments) if arguments[0] == "worker" else app.start(arguments)
        status = 0
    except BaseException:  # noqa: BLE001 - nothing of a life may return into the zygote
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def work_file(log: Path, pid: int) -> Path:
    """Is there once the life with this id has begun to work."""
    return log.with_name(f"{log.stem}-{pid}.works")


def _tell_of_work(log: Path) -> Callable[..., None]:
    told = work_file(log, os.getpid())

    def tell(task: Any, **_rest: Any) -> None:
        if task.name in WORK and not told.exists():
            told.touch()

    return tell


def _import_all() -> None:
    """What a worker would import in its first second."""
    from celery.apps import beat, worker
    from celery.bin import beat as beat_command
    from celery.bin import worker as worker_command
    from celery.concurrency import thread
    from celery.worker import consumer
    from django.conf import settings
    from django.db import connection
    from django.urls import get_resolver
    from django.utils.module_loading import import_string
    from kombu.transport import redis

    from broker.celery import app
    from broker.errors import BrokerError
    from broker.outgoing import fetch

    del beat, worker, beat_command, worker_command, thread, consumer, redis
    app.finalize()
    app.loader.import_default_modules()
    for name in settings.DELIVERY_HANDLERS.values():
        with contextlib.suppress(ImportError):
            import_string(name)
    for names in settings.EVENT_READERS.values():
        for name in names:
            import_string(name)
    get_resolver()
    with contextlib.suppress(BrokerError):
        fetch("http://127.0.0.1:1/", purpose="nothing", max_bytes=1, accept="*/*")  # loads certificates and libraries
    assert connection.connection is None, "a connection before the fork"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    _serve(Path(sys.argv[1]))
