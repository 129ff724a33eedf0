"""A broker in processes of its own on PostgreSQL and Redis, and what stands where a test client would."""

import base64
import copy
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.services.servers import PostgreSQL, Redis, free_port

ROOT = Path(__file__).resolve().parent.parent.parent
BASE_URL = "http://localhost:8000"
"""The suite's own, so that whatever the tests expect of addresses holds here too; it listens elsewhere."""
READY_SECONDS = 120
STOP_SECONDS = 20


class Answer:
    """An HTTP answer as Django's test client would give it."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.status_code = answer.status_code
        self.content = answer.content
        self.json = answer.json
        self._headers = answer.headers

    def __getitem__(self, name: str) -> str:
        return self._headers[name]

    def get(self, name: str, default: str = "") -> str:
        return self._headers.get(name, default)


class Wire:
    """Django's test client in as far as the tests use it, over real HTTP. Keeps cookies; sends forms urlencoded."""

    def __init__(self, port: int) -> None:
        # No connection outlives its answer, so that nobody has to close anything.
        self._http = httpx2.Client(
            base_url=f"http://127.0.0.1:{port}",
            trust_env=False,
            timeout=60,
            limits=httpx2.Limits(max_keepalive_connections=0),
        )
        self._http.headers["Host"] = BASE_URL.removeprefix("http://")

    def get(self, path: str, parameters: dict[str, Any] | None = None) -> Answer:
        return Answer(self._http.get(path, params=parameters))

    def post(self, path: str, fields: dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
        return Answer(self._http.post(path, data=fields, headers=headers))


class Broker:
    """`manage.py serve` on the given servers. A context manager; `folder` holds everything that it keeps."""

    def __init__(self, folder: Path, *, database: PostgreSQL, redis: Redis) -> None:
        self.port = free_port()
        self.folder = folder
        self.seal_log = folder / "seals.log"
        self.client_secret = secrets.token_urlsafe(32)
        """What parties name as `client_secret_env: SUITE_CLIENT_SECRET`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BROKER_", "DJANGO_"))}
        self._environment = {
            **kept,
            "DJANGO_SETTINGS_MODULE": "broker.settings",
            "BROKER_BASE_URL": BASE_URL,
            "BROKER_VAR": str(folder),
            "BROKER_SECRET_KEY": secrets.token_urlsafe(48),
            "BROKER_MASTER_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            "BROKER_DATABASE_URL": database.url,
            "BROKER_REDIS_URL": redis.url,
            "SUITE_CLIENT_SECRET": self.client_secret,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Broker":
        with (self.folder / "serve.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "serve", "--port", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        try:
            self.wait_until(lambda: self.health() == 200, what="the broker is ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def beside(self, folder: Path) -> "Broker":
        """Another of the same installation, with a port of its own: it shares its database, keys and seal log."""
        other = copy.copy(self)
        other.port, other.folder, other._process = free_port(), folder, None
        other._environment = {**self._environment, "BROKER_VAR": str(folder), "BROKER_SEAL_LOG": str(self.seal_log)}
        return other

    def kill(self) -> None:
        """End every process of it without a warning."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait_until(self, is_so: Callable[[], bool], *, what: str) -> None:
        """Return once `is_so`. Fails when the broker ended, or after `READY_SECONDS`."""
        assert self._process is not None
        deadline = time.monotonic() + READY_SECONDS
        while not is_so():
            assert self._process.poll() is None, f"the broker ended: {self._logs()}"
            assert time.monotonic() < deadline, f"not after {READY_SECONDS} s: {what}\n{self._logs()}"
            time.sleep(0.2)

    def health(self) -> int:
        """The status of /health/ready; 0 when nobody answers."""
        try:
            return Wire(self.port).get("/health/ready").status_code
        except httpx2.HTTPError:
            return 0

    def manage(self, *arguments: str) -> str:
        """What a command of `manage.py` prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"manage.py {arguments[0]}: {done.stdout}{done.stderr}"
        return done.stdout

    def apply(self, parties: dict[str, Any]) -> None:
        path = self.folder / "parties.yaml"
        path.write_text(yaml.safe_dump(parties))
        self.manage("apply", str(path))

    def _logs(self) -> str:
        logs = [self.folder / "serve.log", *sorted((self.folder / "log").glob("*.log"))]
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-3000:]}" for log in logs if log.exists())
