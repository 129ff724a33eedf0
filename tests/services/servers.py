"""PostgreSQL and Redis for a while: own folders, free ports, gone at the end. They never run as root."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

READY_SECONDS = 60
STOP_SECONDS = 20
UNPRIVILEGED = ("postgres", "nobody")


class DidNotStart(Exception):
    """The text ends with the server's log."""


def end_when_told() -> None:
    """Let this process end on SIGTERM as by `sys.exit`, so that whatever it started ends with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])


class _Service:
    """A process in a folder of its own below the system's temporary one. A context manager."""

    name = ""
    stop_signal = signal.SIGTERM

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"countersign-{self.name}-"))
        self._identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = _unprivileged_account()
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start it, and return once it answers. Raises DidNotStart."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._identity
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise DidNotStart(f"{self.name}: {(self.folder / 'server.log').read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it in its own way, or by force where that takes too long."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End it without a warning."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Its sockets stay open, and nobody answers until `go_on`."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the server's own account."""
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=READY_SECONDS, **self._identity
        )

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


class PostgreSQL(_Service):
    """A cluster with one role, who may do everything. It forgets what it was told when the machine stops."""

    name = "postgresql"
    stop_signal = signal.SIGINT  # ends the sessions, then itself

    def __init__(self) -> None:
        super().__init__()
        self._initdb = _find_postgresql("initdb")
        made = self.run(
            self._initdb, *("--pgdata", "cluster", "--username", "countersign", "--auth", "trust"),
            *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
        )  # fmt: skip
        if made.returncode:
            raise DidNotStart(f"initdb: {made.stdout}{made.stderr}")

    @property
    def url(self) -> str:
        return f"postgresql://countersign@127.0.0.1:{self.port}/countersign"

    def start(self) -> None:
        """Start it, with the database of `url`."""
        super().start()
        where = ("--host", "127.0.0.1", "--port", str(self.port), "--username", "countersign")
        made = self.run(_find_postgresql("createdb"), *where, "countersign")
        if made.returncode and "already exists" not in made.stderr:
            raise DidNotStart(f"createdb: {made.stderr}")

    def command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "off",
            "full_page_writes": "off",
        }
        arguments = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        return [_find_postgresql("postgres"), "-D", "cluster", "-p", str(self.port), *arguments]

    def answers(self) -> bool:
        asked = self.run(_find_postgresql("pg_isready"), "--host", "127.0.0.1", "--port", str(self.port))
        return asked.returncode == 0


class Redis(_Service):
    """A Redis that keeps nothing on disk."""

    name = "redis"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        options = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--databases", "64")
        return ["redis-server", "--port", str(self.port), *options]

    def answers(self) -> bool:
        return _answers(self.port, b"PING\r\n", lambda answer: answer.startswith(b"+PONG"))


def _answers(port: int, question: bytes, is_right: Callable[[bytes], bool]) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(question)
            return is_right(connection.recv(64))
    except OSError:
        return False


def _unprivileged_account() -> pwd.struct_passwd:
    for name in UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise DidNotStart(f"none of the accounts {', '.join(UNPRIVILEGED)} exists, and servers refuse to run as root")


def _find_postgresql(program: str) -> str:
    """A program of the newest PostgreSQL: Debian keeps them apart from the others."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda path: float(path.parts[4]))
    found = str(versions[-1]) if versions else shutil.which(program)
    if not found:
        raise DidNotStart(f"no {program} was found")
    return found
