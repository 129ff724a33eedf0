"""The embedded start: all that an installation without services needs, made and run by one command.

Everything lives in the folder `var`: secrets, database, queue, collected static files and logs. Nothing here may
import Django's models before `prepare_folder` has made the secrets that the settings want.
"""

import base64
import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from broker import env
from broker.operations.processes import Program, ProgramStopped, StopAsked, Supervisor

ROOT = Path(__file__).resolve().parent.parent.parent
HOST = "127.0.0.1"
WEB_PROCESSES = 1
WEB_THREADS = 6
WEB_STOP_SECONDS = 5
"""How long the web server lets requests finish; below the supervisor's own patience."""
WORKER_THREADS = 8
READY_SECONDS = 60.0
ENVIRONMENT = {"DJANGO_SETTINGS_MODULE": "broker.settings", "PYTHONUNBUFFERED": "1"}
FIRST_OPERATORS = (
    ("operator-1@localhost.localdomain", "First operator"),
    ("operator-2@localhost.localdomain", "Second operator"),
)


class CannotStart(Exception):
    """The text is one line that says what is in the way and what to do."""


@dataclass(frozen=True, slots=True)
class NewOperator:
    """A console account that this start made, with its one-time password."""

    email: str
    password: str


@dataclass(frozen=True, slots=True)
class Companions:
    """What runs beside the product: `ports` that have to be free, programs, and what they want loaded."""

    ports: Mapping[str, int] = field(default_factory=dict)
    prepare: Callable[[Path], Sequence[Program]] = lambda _var: ()
    """Given `var`, makes what the programs need and returns them. Runs before the database is there."""
    load: Callable[[bool], None] = lambda _is_new: None
    """Runs once the database is there; told whether it is new."""


def run(
    *,
    var: Path,
    port: int,
    announce: Callable[[Sequence[NewOperator]], None],
    remedy: str,
    operators: Sequence[tuple[str, str]] = FIRST_OPERATORS,
    companions: Companions | None = None,
) -> int:
    """Prepare `var`, start the product on `port`, call `announce` once it answers, and run until a signal comes.

    `operators` are the e-mail addresses and names of the first console accounts, made when there is none at all;
    `remedy` says how to choose another port. Returns the exit status: what went wrong is one line on stderr,
    followed by the last lines of the program's log where one stopped.
    """
    companions = companions or Companions()
    os.umask(0o077)
    try:
        check_ports({"Countersign": port, **companions.ports}, remedy=remedy)
        prepare_folder(var)
        with claim_folder(var), Supervisor(var / "log", working_folder=ROOT) as supervisor:
            for program in companions.prepare(var):
                supervisor.start(program)
            companions.load(prepare_database())
            supervisor.start(web_server(port))
            supervisor.wait_until(lambda: is_ready(port), what="the web server", seconds=READY_SECONDS)
            # Only now, so that the two do not compete for the processor while somebody waits.
            supervisor.start(worker())
            # Last, so that no password is made that is never shown.
            announce(make_first_operators(operators))
            supervisor.watch()
            sys.stderr.write("\nStopping ...\n")
    except StopAsked:
        return 0
    except (CannotStart, ProgramStopped) as problem:
        sys.stderr.write(f"countersign: {problem}\n")
        return 1
    return 0


def listening_port(base_url: str) -> int:
    """The port to listen on for this base URL: its own on loopback, 8000 behind a proxy."""
    parts = urlsplit(base_url)
    return (parts.port or 80) if parts.scheme == "http" else 8000


def check_ports(ports: Mapping[str, int], *, remedy: str) -> None:
    """Raises CannotStart for the first port that is none or is taken."""
    for name, port in ports.items():
        if not 0 < port < 2**16:
            raise CannotStart(f"{port} is not a port; {remedy}")
        for family, host in ((socket.AF_INET, HOST), (socket.AF_INET6, "::1")):
            with contextlib.suppress(OSError), socket.socket(family) as candidate:
                candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    candidate.bind((host, port))
                except OSError as error:
                    if error.errno == errno.EACCES:
                        raise CannotStart(f"port {port} ({name}) needs more rights; {remedy}") from error
                    if error.errno == errno.EADDRINUSE:
                        raise CannotStart(f"port {port} ({name}) is taken by another program; {remedy}") from error


def prepare_folder(var: Path) -> None:
    """Make `var` with its secrets and logs, for its owner only. Raises CannotStart.

    A secret that is there is never overwritten; one that the environment names is not made.
    """
    try:
        for folder in (var, var / "secrets", var / "log"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        made = {
            "secret_key": lambda: secrets.token_urlsafe(48),
            "master_keys": lambda: f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        }
        for name, make in made.items():
            path = var / "secrets" / name
            variable = f"BROKER_{name.upper()}"
            if path.exists() or os.environ.get(variable) or os.environ.get(f"{variable}_FILE"):
                continue
            if name == "master_keys" and (var / "countersign.sqlite3").exists():
                raise CannotStart(f"{path} is missing, and {var} holds what it sealed; bring it back, or remove {var}")
            _write_once(path, make())
    except OSError as error:
        raise CannotStart(f"the folder {var} cannot be used: {error.strerror}: {error.filename}") from error


def prepare_folder_or_exit() -> None:
    """`prepare_folder` for the folder that the environment names, before any settings are loaded."""
    os.umask(0o077)
    try:
        prepare_folder(env.var_dir())
    except CannotStart as problem:
        sys.exit(f"countersign: {problem}")


def prepare_database() -> bool:
    """Bring the database, the static files, the keys and our own APIs up to date. Returns whether the database is new.

    Raises CannotStart.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
    import django  # after `prepare_folder`, like everything that reads the settings

    django.setup()
    from django.core.management import call_command
    from django.db import DatabaseError, connection
    from django.db.migrations.exceptions import InconsistentMigrationHistory
    from django.db.migrations.executor import MigrationExecutor

    from broker.actors import SYSTEM
    from broker.keys.services import ensure_keys
    from broker.registry.registering.resources import register_own_resources

    try:
        executor = MigrationExecutor(connection)
        is_new = not executor.loader.applied_migrations
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
        ensure_keys(SYSTEM)
        register_own_resources(actor=SYSTEM)
    except (DatabaseError, InconsistentMigrationHistory) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise CannotStart(f"the database cannot be used: {first_line}") from error
    _collect_static()
    return is_new


def make_first_operators(operators: Sequence[tuple[str, str]]) -> list[NewOperator]:
    """Make these console accounts if there is none at all; else nothing."""
    from broker.actors import SYSTEM
    from broker.console.models import Operator
    from broker.console.services import create_operator

    if Operator.objects.exists():
        return []
    return [
        NewOperator(email, create_operator(email, name=name, role=Operator.Role.OPERATOR, actor=SYSTEM)[1])
        for email, name in operators
    ]


def web_server(port: int) -> Program:
    """The web server, on loopback."""
    options = f"--interface wsgi --host {HOST} --port {port} --workers {WEB_PROCESSES}"
    options += (
        f" --blocking-threads {WEB_THREADS} --no-ws --workers-kill-timeout {WEB_STOP_SECONDS} --log-level warning"
    )
    # Several of these may serve one installation; who starts more than one says so.
    processes = os.environ.get("BROKER_THROTTLE_PROCESSES") or str(WEB_PROCESSES)
    environment = {**ENVIRONMENT, "BROKER_THROTTLE_PROCESSES": processes}
    return Program("web", (sys.executable, "-m", "granian", *options.split(), "broker.wsgi:application"), environment)


def worker() -> Program:
    """The Celery worker, with the schedule inside."""
    options = f"--beat --pool threads --concurrency {WORKER_THREADS} --loglevel warning"
    options += " --without-gossip --without-mingle --without-heartbeat"
    command = (sys.executable, "-m", "celery", "-A", "broker.celery:app", "worker", *options.split())
    # Where Redis goes away while it holds a message, kombu ends it; what it had begun stands in the database.
    return Program("worker", command, ENVIRONMENT, is_revived=True)


def is_ready(port: int) -> bool:
    """Whether the web server answers that it is ready."""
    from django.conf import settings

    request = urllib.request.Request(
        f"http://{HOST}:{port}/health/ready", headers={"Host": urlsplit(settings.BROKER_BASE_URL).netloc}
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


@contextlib.contextmanager
def claim_folder(var: Path) -> Iterator[None]:
    """Hold `var` for this start: two in one folder would fight over its queue and its schedule.

    Raises CannotStart when another one holds it.
    """
    with (var / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotStart(f"another Countersign runs from {var}; stop it, or set BROKER_VAR to another") from error
        yield


def _write_once(path: Path, text: str) -> None:
    """Write a file for its owner only, whole or not at all, and never over one that is there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as out:
            out.write(text + "\n")
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def _collect_static() -> None:
    """Collect the static files if any of them changed since the last time."""
    from django.conf import settings
    from django.contrib.staticfiles.finders import get_finders
    from django.core.management import call_command

    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list(None):
            state = Path(storage.path(name)).stat()
            digest.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
    stamp = Path(settings.VAR) / "static.stamp"
    if not settings.STATIC_ROOT.is_dir() or not stamp.exists() or stamp.read_text() != digest.hexdigest():
        call_command("collectstatic", interactive=False, clear=True, verbosity=0, skip_checks=True)
        stamp.write_text(digest.hexdigest())
