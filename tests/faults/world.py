"""An installation for the fault runs: its servers, the product's processes, and this process as its operator.

`World` starts PostgreSQL and Redis and prepares the database; `web`, `zygote` and `beat` start the product's processes
on it. The run itself uses the product's services in its own process, after `become_product`.
"""

import base64
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import httpx2
import redis

from tests.faults.clock import VARIABLE, Clock
from tests.faults.zygote import Zygote
from tests.services.broker import ROOT
from tests.services.servers import PostgreSQL, Redis, free_port

READY_SECONDS = 60
STOP_SECONDS = 10


class NotInTime(Exception):
    """What was waited for did not come; the text says what."""


class World:
    """A context manager. `folder` keeps everything: databases, logs, the clock."""

    def __init__(
        self,
        folder: Path,
        *,
        limits: Mapping[str, float] | None = None,
        beat: Mapping[str, float] | None = None,
        environment: Mapping[str, str] | None = None,
        database: type[PostgreSQL] = PostgreSQL,
    ) -> None:
        """`limits` and `beat`: see `entry`, waits that are shorter than the product's.

        `environment` is that of an installation whose database and secrets are there already: then none are made.
        """
        self.folder = folder
        self.clock = Clock(folder / "clock")
        self.redis = Redis()
        self._database = None if environment else database()
        self.port = free_port()
        self.seal_log = folder / "seals.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BROKER_", "DJANGO_"))}
        self.environment = {
            **kept,
            "DJANGO_SETTINGS_MODULE": "broker.settings",
            "PYTHONPATH": str(ROOT),
            "BROKER_BASE_URL": "http://localhost:8000",
            "BROKER_VAR": str(folder),
            **(environment or self._new_installation()),
            "BROKER_REDIS_URL": self.redis.url,
            "BROKER_OUTGOING_NETWORKS": "127.0.0.0/8",
            VARIABLE: str(self.clock.path),
            "FAULTS_LIMITS": json.dumps(dict(limits or {})),
            "FAULTS_BEAT": json.dumps(dict(beat or {})),
        }
        self._exits = contextlib.ExitStack()

    def _new_installation(self) -> dict[str, str]:
        return {
            "BROKER_SECRET_KEY": secrets.token_urlsafe(48),
            "BROKER_MASTER_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            "BROKER_DATABASE_URL": self.database.url,
        }

    @property
    def database(self) -> PostgreSQL:
        """Its own; one that came with its environment is not ours to stop."""
        assert self._database is not None
        return self._database

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as exits:
            if self._database is not None:
                exits.enter_context(self._database)
            exits.enter_context(self.redis)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._exits.close()

    def become_product(self) -> None:
        """Make this process one of the product's, with a database that is ready. Once per process."""
        os.environ.update(self.environment)
        from tests.faults.entry import prepare

        prepare()
        import django

        django.setup()
        from django.core.management import call_command

        from broker.actors import SYSTEM
        from broker.keys.services import ensure_keys
        from broker.registry.registering.resources import register_own_resources

        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
        ensure_keys(SYSTEM)
        register_own_resources(actor=SYSTEM)

    def zygote(self, name: str = "worker") -> Zygote:
        """What forks workers. It ends with the world."""
        return self._exits.enter_context(Zygote(self.environment, self.folder / f"{name}.log"))

    @contextlib.contextmanager
    def beat(self, name: str = "beat") -> Iterator[subprocess.Popen[bytes]]:
        """The schedule, as a process of its own."""
        options = ["beat", "--schedule", str(self.folder / name), "--pidfile", "", "--loglevel", "warning"]
        with self._program(name, [sys.executable, "-m", "tests.faults.entry", "celery", *options]) as process:
            yield process

    @contextlib.contextmanager
    def web(self) -> Iterator[subprocess.Popen[bytes]]:
        """The web server, once it is ready."""
        options = f"--interface wsgi --host 127.0.0.1 --port {self.port} --workers 1 --blocking-threads 4 --no-ws"
        command = [sys.executable, "-m", "granian", *options.split(), "--log-level", "warning"]
        with self._program("web", [*command, "tests.faults.entry:application"]) as process:
            self.wait_until(lambda: self.ask("GET", "/health/ready").status_code == 200, what="the web server is ready")
            yield process

    def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """One request to the web server, by loopback."""
        headers = {"Host": "localhost:8000", **options.pop("headers", {})}
        with httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30) as client:
            return client.request(method, path, headers=headers, **options)

    def manage(self, *arguments: str) -> str:
        """What a command of `manage.py` prints, under the world's clock. Raises NotInTime with it when it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.entry", "manage", *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        if done.returncode:
            raise NotInTime(f"manage.py {arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def wait_until(
        self,
        is_so: Callable[[], bool],
        *,
        what: str,
        tell: Callable[[], str] = str,
        seconds: float = READY_SECONDS,
        pause: float = 0.05,
    ) -> float:
        """Return the seconds it took until `is_so`; what nobody answers is not so. Raises NotInTime with the logs.

        `tell` says how it stands then.
        """
        began = time.monotonic()
        while True:
            with contextlib.suppress(httpx2.HTTPError):
                if is_so():
                    return time.monotonic() - began
            if time.monotonic() - began > seconds:
                raise NotInTime(f"not within {seconds} s: {what} {tell()}\n{self.logs()}")
            time.sleep(pause)

    def kill_program(self, process: subprocess.Popen[bytes]) -> None:
        """With everything that it started, without a warning."""
        os.killpg(process.pid, signal.SIGKILL)

    def empty_redis(self) -> None:
        """Every message, lease and counter there is gone."""
        with redis.Redis.from_url(self.redis.url) as client:
            client.flushall()

    def logs(self) -> str:
        """The last lines of what the product's processes wrote, without what they say at each start."""
        told = []
        for name in ("web", "worker", "worker-0", "worker-1", "beat"):
            log = self.folder / f"{name}.log"
            if log.exists():
                everything = log.read_text(errors="replace").splitlines()
                lines = [line for line in everything if line.startswith("{")] or everything[-15:]
                told.append(f"{name}: " + "\n".join(line[:600] for line in lines[-15:]))
        return "\n".join(told)

    @contextlib.contextmanager
    def _program(self, name: str, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def say(text: str) -> None:
    """A line for whoever watches."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
