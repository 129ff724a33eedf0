"""SCIM reads over HTTP beside django-scim2, and over many people beside few: `python -m bench.scim`.

Each server has one worker on one core; wrk and the database have the other. Rounds alternate between all sides, and a
ratio is of two sides in one round. django-scim2 has a database of its own in the same PostgreSQL and as many people as
the smaller of our two; who calls it is a comparison with one token in its settings, and it keeps no journal.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from urllib.request import ProxyHandler, Request, build_opener

from bench import load, satosa_ours
from bench.load import write_reads
from bench.satosa_peer import wait_until_it_answers
from bench.tokens import Side, spread

ROOT = Path(__file__).resolve().parent.parent
LOCK = Path(__file__).with_name("scim-requirements.lock")
HOME = ROOT / ".peers" / "scim"
STAMP = HOME / "installed.lock"
PYTHON = HOME / "bin" / "python"
FEW, MANY, QUICK_MANY = 1_000, 100_000, 10_000
PAGES, PAGE_SIZE = 10, 100
READ = 200
"""So many people are read in turn."""
THREADS = 4
"""As our image has it."""
STOP_SECONDS = 30
WARM_SECONDS = 4
"""The slowest of them answers its first page after more than a second, to all connections at once."""
OURS, PEER = "Countersign", "django-scim2"
ONE, PAGE, BY_NAME, BY_EMAIL = "one user", "page of 100", "by userName", "by e-mail"
SLOWER = 1.5
"""What a filtered list over `MANY` people may cost at most, in costs over `FEW`."""


def is_installed() -> bool:
    return STAMP.is_file() and STAMP.read_bytes() == LOCK.read_bytes()


def install() -> None:
    """Make the peer's environment anew from its lock (written by `uv pip compile --python-version 3.11
    --generate-hashes --no-header --no-emit-index-url` from scim-requirements.in)."""
    print("Installing django-scim2 …", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", HOME], check=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", LOCK], check=True)
    shutil.copyfile(LOCK, STAMP)


def main(*, rounds: int = 8, seconds: int = 2, is_quick: bool = False) -> None:
    """Print the comparison. The peer is installed, but in a quick run, which leaves it out where it is not."""
    if not load.is_installed():
        print("left out: wrk is not installed; it is Debian's package of the same name")
        return
    if not is_installed():
        if is_quick:
            print("django-scim2 is left out: it is not in .peers; a run without --quick installs it")
        else:
            install()
    compare(rounds=rounds, seconds=seconds, many=QUICK_MANY if is_quick else MANY)


def compare(*, rounds: int, seconds: int, many: int) -> None:
    """Measure all sides, print the table."""
    with (
        satosa_ours.DurablePostgreSQL() as database,
        tempfile.TemporaryDirectory() as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        sides = stack.enter_context(_ours(folder, database, many))
        if is_installed():
            sides += stack.enter_context(_peer(folder, database))
        for side in sides:
            side.measure(WARM_SECONDS)
            side.forget()
        for number in range(rounds):
            for side in sides[:: 1 if number % 2 else -1]:
                side.measure(seconds)
    print(f"granian {version('granian')} with {THREADS} threads, PostgreSQL with fsync; {_peer_versions()}")
    print(f"{rounds} rounds of {seconds} s, {load.CONNECTIONS} connections")
    report({side.name: side for side in sides}, many=many)


def report(sides: dict[str, Side], *, many: int) -> None:
    """The table, then each target."""
    print(f"{'':44}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'processor us':>14}")
    for side in sides.values():
        print(side.row(44))
    for what in (ONE, PAGE):
        if (peer := sides.get(f"{PEER} {what}")) is not None:
            faster, cheaper = _beside(sides[_name(what, FEW)], peer)
            print(f"{what} beside {PEER}: {faster} times as many a second; target 3")
            print(f"  {cheaper} times less of its own processor")
    for what in (PAGE, BY_NAME, BY_EMAIL):
        faster, cheaper = _beside(sides[_name(what, FEW)], sides[_name(what, many)])
        print(
            f"{what}, {many} people beside {FEW}: {faster} times as long, {cheaper} of the processor; at most {SLOWER}"
        )


def _beside(one: Side, other: Side) -> tuple[str, str]:
    """How many times as many requests a second `one` answers, and how many times less processor it needs."""
    faster = [a.rate / b.rate for a, b in zip(one.answered, other.answered, strict=True)]
    cheaper = [b / a for a, b in zip(one.processor, other.processor, strict=True)]
    return spread(faster), spread(cheaper)


def _name(what: str, count: int) -> str:
    return f"{OURS} {what} of {count}"


def _peer_versions() -> str:
    if not is_installed():
        return "no peer"
    code = "from importlib.metadata import version as v; print(v('django-scim2'), 'on Django', v('Django'))"
    found = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return f"{PEER} {found}"


def _environment(folder: Path) -> dict[str, str]:
    """What both of ours read; they differ in port and database only."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BROKER_", "DJANGO_"))}
    ours = satosa_ours.environment(folder, port=1, database_url="")
    return {**kept, **ours, "BROKER_THROTTLE_PROCESSES": "1", "BROKER_LOG_FORMAT": "json"}


@contextlib.contextmanager
def _ours(folder: Path, database: Any, many: int) -> Iterator[list[Side]]:
    """Two of ours: with few people, and with many; the second database begins as a copy of the first."""
    environment, sides = _environment(folder), list[Side]()
    with contextlib.ExitStack() as stack:
        told = {"token": "", "people": []}
        counts = {"few": FEW, "many": many}
        urls = {}
        for name, count in counts.items():
            urls[name] = _database(database, name, template="few" if name == "many" else "template1")
            # A process of its own prepares: the settings tell a process of one database.
            command = [sys.executable, "-m", "bench.scim", "prepare", str(count)]
            with_database = {**environment, "BROKER_DATABASE_URL": urls[name]}
            ended = subprocess.run(command, check=True, cwd=ROOT, env=with_database, stdout=subprocess.PIPE, text=True)
            told = told if name == "many" else json.loads(ended.stdout)
        for name, count in counts.items():
            sides += stack.enter_context(
                _serving(folder, {**environment, "BROKER_DATABASE_URL": urls[name]}, told, count)
            )
        yield sides


@contextlib.contextmanager
def _serving(folder: Path, environment: dict[str, str], told: dict[str, Any], count: int) -> Iterator[list[Side]]:
    from tests.services.servers import free_port

    port = free_port()
    base_url, token = f"http://127.0.0.1:{port}", f"Bearer {told['token']}"
    serve = _granian(sys.executable, port, "broker.wsgi:application")
    environment = {**environment, "BROKER_BASE_URL": base_url}
    with _running(serve, folder / f"ours{count}.log", f"{base_url}/health/ready", environment) as process_id:
        paths = {
            ONE: [f"/scim/v2/Users/{person}" for person in told["people"]],
            **_lists(),
            BY_NAME: [_list(f'userName eq "{_person(number)}"') for number in range(READ)],
            BY_EMAIL: [_list(f'emails.value eq "{_person(number)}@acme.example"') for number in range(READ)],
        }
        yield [
            _side(folder / f"ours{count}-{place}.lua", _name(what, count), base_url, asked, token, process_id)
            for place, (what, asked) in enumerate(paths.items())
            if what != ONE or count == FEW
        ]


@contextlib.contextmanager
def _peer(folder: Path, database: Any) -> Iterator[list[Side]]:
    from tests.services.servers import free_port

    port, token = free_port(), "the-peers-token-0123456789abcdef"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "bench.scim_peer.project",
        "SCIM_DATABASE_URL": _database(database, "peer"),
        "SCIM_TOKEN": token,
    }
    prepare = [str(PYTHON), "-m", "bench.scim_peer.project", str(FEW)]
    subprocess.run(prepare, check=True, cwd=ROOT, env=environment)
    command = [*_granian(str(PYTHON), port, "django.core.wsgi:get_wsgi_application"), "--factory"]
    base_url = f"http://127.0.0.1:{port}"
    with _running(command, folder / "peer.log", f"{base_url}/scim/v2/Users/1", environment) as process_id:
        paths = {ONE: [f"/scim/v2/Users/{number + 1}" for number in range(READ)], **_lists()}
        yield [
            _side(folder / f"peer-{place}.lua", f"{PEER} {what}", base_url, asked, f"Bearer {token}", process_id)
            for place, (what, asked) in enumerate(paths.items())
        ]


def _side(script: Path, name: str, base_url: str, paths: list[str], authorization: str, process_id: int) -> Side:
    """What is asked of one server, which has answered each of it once."""
    opener = build_opener(ProxyHandler({}))
    for path in {paths[0], paths[-1]}:
        request = Request(base_url + path, headers={"Authorization": authorization})
        with opener.open(request, timeout=60) as answer:
            said = json.load(answer)
        if said.get("itemsPerPage", 1) != (PAGE_SIZE if " sw " in unquote(path) else 1):
            sys.exit(f"{name}: {path} shows {said.get('itemsPerPage')}")
    made = write_reads(script, base_url=base_url, paths=paths, authorization=authorization)
    return Side(name, made, process_id)


def _lists() -> dict[str, list[str]]:
    return {PAGE: [_list(f'userName sw "person-{number:04}"') for number in range(PAGES)]}


def _person(number: int) -> str:
    return f"person-{number:06}"


def _list(text: str) -> str:
    return f"/scim/v2/Users?count={PAGE_SIZE}&filter={quote(text)}"


def _granian(python: str, port: int, application: str) -> list[str]:
    options = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--no-ws"]
    options += ["--blocking-threads", str(THREADS), "--log-level", "warning", application]
    return [python, "-m", "granian", *options]


@contextlib.contextmanager
def _running(command: list[str], log: Path, ready: str, environment: dict[str, str]) -> Iterator[int]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment,
            preexec_fn=load.pin_server, start_new_session=True,
        )  # fmt: skip
    try:
        wait_until_it_answers(ready, process, log)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _database(server: Any, name: str, *, template: str = "template1") -> str:
    """Another database of the same server."""
    where = ("-h", "127.0.0.1", "-p", str(server.port), "-U", "countersign", "-d", "countersign")
    made = server.run("psql", *where, "-c", f"CREATE DATABASE {name} TEMPLATE {template}")
    if made.returncode:
        sys.exit(made.stderr)
    return str(server.url).rpartition("/")[0] + f"/{name}"


def _prepare(count: int) -> None:
    """In a process whose settings name the database: the tables, the people. Prints what the load needs."""
    import django

    django.setup()
    from django.core.management import call_command

    from bench.workforce import analyse, make_source, make_told_people
    from broker.actors import SYSTEM
    from broker.keys.services import ensure_keys
    from provisioning.inbound.models import Record, ScimSource

    call_command("migrate", verbosity=0)
    ensure_keys(SYSTEM)
    source = ScimSource.objects.filter(slug="hr").first()
    token = ""
    if source is None:
        source, token = make_source()
    there = Record.objects.count()
    people = make_told_people(source, count - there, first=there)
    analyse()
    print(json.dumps({"token": token, "people": [str(person) for person in people[:READ]]}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["prepare"]:
        _prepare(int(sys.argv[2]))
    else:
        main(is_quick="--quick" in sys.argv)
