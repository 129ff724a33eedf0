"""The peers of the token desk: panva's oidc-provider, and django-oauth-toolkit.

Both live below .peers. oidc-provider comes from the lock of the tests with foreign applications; django-oauth-toolkit
from toolkit-requirements.lock (which `uv pip compile --python-version 3.11 --generate-hashes --no-header
--no-emit-index-url` writes from toolkit-requirements.in).
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.load import pin_server
from bench.satosa_peer import wait_until_it_answers

ROOT = Path(__file__).resolve().parent.parent
NPM_LOCKED = ROOT / "tests" / "peers" / "applications" / "npm"
NPM_FILES = ("package.json", "package-lock.json", ".npmrc")
NPM_HOME = ROOT / ".peers" / "npm"
NPM_STAMP = NPM_HOME / "installed.json"
PROVIDER = Path(__file__).with_name("oidc_provider.mjs")
TOOLKIT_LOCK = Path(__file__).with_name("toolkit-requirements.lock")
TOOLKIT_HOME = ROOT / ".peers" / "toolkit"
TOOLKIT_STAMP = TOOLKIT_HOME / "installed.lock"
TOOLKIT_PYTHON = TOOLKIT_HOME / "bin" / "python"
STOP_SECONDS = 30


def what_is_missing() -> list[str]:
    """The programs that are Debian's, and want root to be installed."""
    return [name for name in ("node", "npm", "wrk") if not shutil.which(name)]


def are_installed() -> bool:
    return _is_current(TOOLKIT_STAMP, TOOLKIT_LOCK) and _is_current(NPM_STAMP, NPM_LOCKED / "package-lock.json")


def install() -> None:
    """Make what is not there, or is of another lock file."""
    if not _is_current(TOOLKIT_STAMP, TOOLKIT_LOCK):
        print("Installing django-oauth-toolkit …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", TOOLKIT_HOME], check=True)
        pip = [TOOLKIT_PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", TOOLKIT_LOCK], check=True)
        shutil.copyfile(TOOLKIT_LOCK, TOOLKIT_STAMP)
    if not _is_current(NPM_STAMP, NPM_LOCKED / "package-lock.json"):
        print("Installing oidc-provider …", flush=True)
        NPM_HOME.mkdir(parents=True, exist_ok=True)
        for name in NPM_FILES:
            shutil.copyfile(NPM_LOCKED / name, NPM_HOME / name)
        subprocess.run(["npm", "ci", "--silent"], cwd=NPM_HOME, check=True)
        shutil.copyfile(NPM_HOME / "package-lock.json", NPM_STAMP)


def versions() -> str:
    """Both as they are installed."""
    package = json.loads((NPM_HOME / "node_modules" / "oidc-provider" / "package.json").read_text())
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    code = "from importlib.metadata import version as v; print(v('django-oauth-toolkit'), 'on Django', v('Django'))"
    toolkit = subprocess.run([TOOLKIT_PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return f"oidc-provider {package['version']} on Node.js {node}, django-oauth-toolkit {toolkit}"


@contextlib.contextmanager
def running_provider(folder: Path, *, port: int, clients: int, secret: str) -> Iterator[int]:
    """oidc-provider, until the end of the block. Gives its process id."""
    program = NPM_HOME / "bench_oidc_provider.mjs"  # beside node_modules, where Node.js looks for packages
    shutil.copyfile(PROVIDER, program)
    command = ["node", str(program), str(port), str(clients), secret]
    ready = f"http://127.0.0.1:{port}/.well-known/openid-configuration"
    environment = {**os.environ, "NODE_ENV": "production"}
    with _running(command, folder / "oidc-provider.log", ready, environment) as process_id:
        yield process_id


@contextlib.contextmanager
def running_toolkit(
    folder: Path, *, port: int, clients: int, secret: str, database_url: str, threads: int
) -> Iterator[int]:
    """django-oauth-toolkit behind granian, as ours is, until the end of the block. Gives its process id."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "bench.toolkit_project",
        "TOOLKIT_DATABASE_URL": database_url,
    }
    prepare = [TOOLKIT_PYTHON, "-m", "bench.toolkit_project", str(clients), secret]
    subprocess.run(prepare, check=True, cwd=ROOT, env=environment)
    command = [str(TOOLKIT_PYTHON), "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--no-ws", "--blocking-threads", str(threads), "--log-level", "warning"]
    command += ["--factory", "django.core.wsgi:get_wsgi_application"]
    ready = f"http://127.0.0.1:{port}/o/introspect/"
    with _running(command, folder / "toolkit.log", ready, environment) as process_id:
        yield process_id


@contextlib.contextmanager
def _running(command: list[str], log: Path, ready: str, environment: dict[str, str]) -> Iterator[int]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment,
            preexec_fn=pin_server,
        )  # fmt: skip
    try:
        wait_until_it_answers(ready, process, log)
        yield process.pid
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _is_current(stamp: Path, lock: Path) -> bool:
    return stamp.is_file() and stamp.read_bytes() == lock.read_bytes()
