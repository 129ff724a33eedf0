"""Servers that run for one test session, each in a process group of its own with a log of its own."""

import contextlib
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx2

START_SECONDS = 90
STOP_SECONDS = 15


def outer_environment() -> dict[str, str]:
    """Our environment without what the suite's own settings put there."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("BROKER_", "DJANGO_"))}


class DidNotStart(Exception):
    """The text ends with the last lines of the server's log."""


class Server:
    """A server that answers at `ready_url` once it is up. A context manager: at its end the whole group is gone."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        ready_url: str,
        environment: Mapping[str, str],
        log: Path,
        authority: Path | None = None,
    ) -> None:
        """`authority`: the certificate of whoever vouches for the server, in PEM."""
        self.name = name
        self.log = log
        self._ready_url = ready_url
        self._trust = ssl.create_default_context(cafile=authority)
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**outer_environment(), **environment},
                start_new_session=True,
            )

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def wait(self) -> "Server":
        """Return once it answers. Raises DidNotStart."""
        deadline = time.monotonic() + START_SECONDS
        with httpx2.Client(trust_env=False, timeout=5, verify=self._trust) as http:
            while time.monotonic() < deadline:
                if self._process.poll() is not None:
                    raise DidNotStart(f"{self.name} ended with status {self._process.returncode}.\n{self.last_lines()}")
                with contextlib.suppress(httpx2.HTTPError):
                    if http.get(self._ready_url).status_code == 200:
                        return self
                time.sleep(0.1)
        raise DidNotStart(f"{self.name} did not answer at {self._ready_url}.\n{self.last_lines()}")

    def last_lines(self, count: int = 20) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])

    def stop(self) -> None:
        """Ask the leader to end, then end whatever is left of its group."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
