"""Starting, mistreating and stopping the application from a test."""

import http.client
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.fakes.scim_target.effects import read_effects

ROOT = Path(__file__).resolve().parents[3]
STOP_SECONDS = 10


class DidNotStart(Exception):
    """The application ended before it listened; the text is what it said."""


class ScimTarget:
    """The application as a process of its own, on a port of its own. A context manager.

    `log` is its append-only log; a stopped or killed one that is started again has its port and its accounts again.
    Traits (faults.Traits) are keywords: `ScimTarget(folder / "crm.log", no_patch=True, latency_ms=50)`.
    """

    def __init__(
        self, log: Path, *, fast: bool = False, token: str = "", client: str = "", port: int = 0, **traits: Any
    ) -> None:
        self.log = log
        self.port = port
        self._command = [
            *(sys.executable, "-m", "tests.fakes.scim_target", "--until-eof", "--log", str(log)),
            *("--token", token, "--client", client, "--traits", json.dumps(traits)),
            *(["--fast"] if fast else []),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "ScimTarget":
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/scim/v2"

    @property
    def token_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/oauth/token"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> "ScimTarget":
        """Return once it listens. Raises DidNotStart."""
        assert self._process is None, "it runs already"
        with self.log.with_suffix(".err").open("ab") as errors:
            self._process = subprocess.Popen(
                [*self._command, "--port", str(self.port)],
                cwd=ROOT,
                stdin=subprocess.PIPE,  # it ends with us, however we end
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline().split()
        if said[:1] != [b"listening"]:
            self.stop()
            raise DidNotStart(self.log.with_suffix(".err").read_text(errors="replace")[-2000:])
        self.port = int(said[1])
        return self

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a warning; connections are reset, and nobody answers until `start`."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """It accepts connections, as the system does for it, and says nothing until `go_on`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def fault(self, fault: str, **options: Any) -> None:
        """See faults.Fault: `target.fault("answer", status=429, headers={"Retry-After": "2"}, times=3)`."""
        self._tell("POST", "/faults", {"fault": fault, **options})

    def change(self, **traits: Any) -> None:
        """See faults.Traits."""
        self._tell("POST", "/faults", traits)

    def mend(self) -> None:
        """No faults any more, and the traits of the start."""
        self._tell("DELETE", "/faults")

    def faults(self) -> dict[str, Any]:
        return self._tell("GET", "/faults")  # type: ignore[no-any-return]  # so it is documented

    def act(self, act: str, **options: Any) -> Any:
        """What its own people do: enable, disable, change, delete, create; `external_id=`, `user_name=`, `id=` or
        `name=` say to whom, `type="Group"`, `document=` what."""
        return self._tell("POST", "/acts", {"act": act, **options})

    def requests(self, *, since: int = 0) -> list[dict[str, Any]]:
        """[{n, at, method, url, who, status, fault, done}]; status 0 was never answered, at or before now.

        `who` are the externalIds that the body or the filter names, `at` and `done` seconds since the epoch.
        """
        return self._tell("GET", f"/requests?since={quote(str(since))}")  # type: ignore[no-any-return]

    def counts(self) -> dict[str, Any]:
        """{requests, effects, in_flight, most_in_flight, cpu_seconds, pid}"""
        return self._tell("GET", "/counts")  # type: ignore[no-any-return]

    def users(self) -> list[dict[str, Any]]:
        """Every account as it is now."""
        return self._tell("GET", "/state")["User"]  # type: ignore[no-any-return]

    def groups(self) -> list[dict[str, Any]]:
        return self._tell("GET", "/state")["Group"]  # type: ignore[no-any-return]

    def effects(self) -> list[dict[str, Any]]:
        """The log, which can be read while the application is down."""
        return read_effects(self.log)

    def _tell(self, method: str, path: str, value: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, None if value is None else json.dumps(value))
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(f"{method} {path}: {answer.status} {body[:500]!r}")
        return json.loads(body)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
