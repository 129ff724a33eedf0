"""Tokens and introspection over HTTP, beside oidc-provider and django-oauth-toolkit: `python -m bench.tokens`.

Each server has one worker on one core; wrk and the database have the other. Rounds alternate between all sides, and a
ratio is of two sides in one round. Ours asks the flow register for each token, and answers when the event of the
issue is on the disk of a PostgreSQL that writes durably. oidc-provider keeps everything in memory and writes nothing.
django-oauth-toolkit holds its secrets in plain text and has a database of its own in the same PostgreSQL.

Ours is measured warm, with a few clients that take turns, and cold: thousands of clients, each of which asks for
the first time.
"""

import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from bench import load, token_peers
from bench.load import Answered, Load, write_load
from bench.satosa import processor_seconds

WARM_CLIENTS = 32
COLD_CLIENTS, QUICK_CLIENTS = 10_000, 2_000
SEVERAL_TOKENS = 64
THREADS = 16
"""Our image has four, with which it signs on most people; many tokens at once want more, which share a commit."""
OURS, PROVIDER, TOOLKIT = "Countersign", "oidc-provider", "django-oauth-toolkit"
TARGETS = (
    (f"{OURS} RS256", f"{PROVIDER} RS256", 1.0),
    (f"{OURS} ES256", f"{PROVIDER} ES256", 1.2),
    (f"{OURS} RS256", f"{TOOLKIT} token", 7.0),
    (f"{OURS} ES256", f"{TOOLKIT} token", 12.0),
    (f"{OURS} introspection", f"{TOOLKIT} introspection", 8.0),
)
"""Which side, beside which, and how many times as many requests a second it shall answer."""


@dataclass
class Side:
    """What is asked of one server, and what each round gave."""

    name: str
    load: Load
    process_id: int
    is_cold: bool = False
    asked: int = 0
    answered: list[Answered] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    """Processor seconds of the server for one request, by round."""

    def measure(self, seconds: int) -> None:
        before = processor_seconds(self.process_id)
        taken = self.load.run(seconds, start=self.asked if self.is_cold else 0)
        if taken.failed or not taken.requests:
            sys.exit(f"{self.name}: {taken.failed} of {taken.requests} requests failed")
        self.asked += taken.requests + load.CONNECTIONS
        self.answered.append(taken)
        self.processor.append((processor_seconds(self.process_id) - before) / taken.requests)

    def row(self, width: int) -> str:
        """Its line of the table, the medians of the rounds."""
        rate, p50, p99 = (median(getattr(one, of) for one in self.answered) for of in ("rate", "p50", "p99"))
        figures = f"{rate:11.0f}{p50 * 1e3:9.1f}{p99 * 1e3:9.1f}{median(self.processor) * 1e6:14.0f}"
        return f"{self.name:{width}}{figures}"

    def forget(self) -> None:
        """What warming up gave does not count."""
        self.answered.clear()
        self.processor.clear()


def main(*, rounds: int = 15, seconds: int = 2, is_quick: bool = False) -> None:
    """Print the comparison. The peers are installed, but in a quick run, which leaves it out where they are not."""
    missing = token_peers.what_is_missing()
    if missing:
        print(f"left out: {', '.join(missing)} not installed; they are Debian's packages of the same names")
        return
    if not token_peers.are_installed():
        if is_quick:
            print("left out: the peers are not installed in .peers; a run without --quick installs them")
            return
        token_peers.install()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BROKER_", "DJANGO_"))}
    # A process of its own, which the settings tell of this broker and no other.
    clients = QUICK_CLIENTS if is_quick else COLD_CLIENTS
    command = [sys.executable, "-m", "bench.tokens", str(rounds), str(seconds), str(clients)]
    subprocess.run(command, check=True, env=kept)


def compare(*, rounds: int, seconds: int, clients: int) -> None:
    """Measure all sides, print the table. Runs in a process whose settings are nobody's yet."""
    from bench.satosa_ours import DurablePostgreSQL

    load.pin_load()  # and with this process the database and its clients, but for the servers
    with DurablePostgreSQL() as database, tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        sides = [*stack.enter_context(_ours(folder, database, clients)), *stack.enter_context(_peers(folder, database))]
        for side in sides:
            side.measure(1)
            side.forget()
        for number in range(rounds):
            for side in sides[:: 1 if number % 2 else -1]:
                side.measure(seconds)
    print(f"{token_peers.versions()}; granian {version('granian')} with {THREADS} threads, PostgreSQL with fsync")
    print(
        f"{rounds} rounds of {seconds} s, {load.CONNECTIONS} connections, {WARM_CLIENTS} clients warm, {clients} cold"
    )
    report({side.name: side for side in sides})


@contextlib.contextmanager
def _ours(folder: Path, database: Any, clients: int) -> Iterator[list[Side]]:
    from bench import satosa_ours
    from tests.services.servers import free_port

    port = free_port()
    os.environ.update(satosa_ours.environment(folder, port=port, database_url=database.url))
    os.environ.update(BROKER_THROTTLE_PROCESSES="1", BROKER_LOG_FORMAT="json")
    import django

    django.setup()
    logging.disable(logging.CRITICAL)
    from django.core.management import call_command
    from django.db import connection

    from bench.services import ALGORITHMS, GUARDS, make_services, token_form

    call_command("migrate", verbosity=0)
    services = make_services(clients)
    connection.cursor().execute("ANALYZE")  # the statistics that a running installation has
    connection.close()
    connection.close_pool()
    with _serving(folder, port) as process_id:
        base_url = f"http://127.0.0.1:{port}"
        warm, cold = services.authorizations[:WARM_CLIENTS], services.authorizations[WARM_CLIENTS:]
        tokens = [
            _token(f"{base_url}/oauth/token", warm[n % len(warm)], token_form("RS256")) for n in range(SEVERAL_TOKENS)
        ]
        bodies = [urlencode({"token": token}) for token in tokens]
        sides = []
        for algorithm in ALGORITHMS:
            for name, who, is_cold in ((algorithm, warm, False), (f"{algorithm} cold", cold, True)):
                script = folder / f"ours-{name}.lua"
                form = [token_form(algorithm)]
                made = write_load(script, base_url=base_url, path="/oauth/token", authorizations=who, bodies=form)
                sides.append(Side(f"{OURS} {name}", made, process_id, is_cold))
        script = folder / "ours-introspection.lua"
        guards = services.authorizations[:GUARDS]
        made = write_load(script, base_url=base_url, path="/oauth/introspect", authorizations=guards, bodies=bodies)
        yield [*sides, Side(f"{OURS} introspection", made, process_id)]


@contextlib.contextmanager
def _serving(folder: Path, port: int) -> Iterator[int]:
    """Our web server as the image runs it, until the end of the block. Gives its process id."""
    from bench.satosa_peer import wait_until_it_answers

    options = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--no-ws"]
    options += ["--blocking-threads", str(THREADS), "--log-level", "warning", "broker.wsgi:application"]
    log = folder / "web.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "granian", *options],
            cwd=token_peers.ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=load.pin_server,
        )  # fmt: skip
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/health/ready", process, log)
        yield process.pid
    finally:
        process.terminate()
        process.wait(token_peers.STOP_SECONDS)


@contextlib.contextmanager
def _peers(folder: Path, database: Any) -> Iterator[list[Side]]:
    from bench.services import ALGORITHMS, Services, token_form
    from tests.services.servers import free_port

    clients = Services([f"service-{n}" for n in range(WARM_CLIENTS)], "the-peers-client-secret-0123456789abcdef")
    url = _other_database(database)
    ports = free_port(), free_port()
    count, secret = len(clients.names), clients.secret
    with (
        token_peers.running_provider(folder, port=ports[0], clients=count, secret=secret) as provider,
        token_peers.running_toolkit(
            folder, port=ports[1], clients=count, secret=secret, database_url=url, threads=THREADS
        ) as toolkit,
    ):
        sides = []
        base_url = f"http://127.0.0.1:{ports[0]}"
        for algorithm in ALGORITHMS:
            made = write_load(
                folder / f"provider-{algorithm}.lua",
                base_url=base_url,
                path="/token",
                authorizations=clients.authorizations,
                bodies=[token_form(algorithm)],
            )
            _token(f"{base_url}/token", clients.authorizations[0], token_form(algorithm))
            sides.append(Side(f"{PROVIDER} {algorithm}", made, provider))
        base_url = f"http://127.0.0.1:{ports[1]}"
        form = urlencode({"grant_type": "client_credentials", "scope": "orders.read"})
        tokens = [
            _token(f"{base_url}/o/token/", clients.authorizations[n % WARM_CLIENTS], form)
            for n in range(SEVERAL_TOKENS)
        ]
        bodies = {"token": [form], "introspection": [urlencode({"token": one}) for one in tokens]}
        for name, path in (("token", "/o/token/"), ("introspection", "/o/introspect/")):
            made = write_load(
                folder / f"toolkit-{name}.lua",
                base_url=base_url,
                path=path,
                authorizations=clients.authorizations,
                bodies=bodies[name],
            )
            sides.append(Side(f"{TOOLKIT} {name}", made, toolkit))
        yield sides


def _other_database(database: Any) -> str:
    """Another database of the same server."""
    where = ("-h", "127.0.0.1", "-p", str(database.port), "-U", "countersign", "-d", "countersign")
    made = database.run("psql", *where, "-c", "CREATE DATABASE toolkit")
    if made.returncode:
        sys.exit(made.stderr)
    return str(database.url).rpartition("/")[0] + "/toolkit"


def _token(url: str, authorization: str, form: str) -> str:
    headers = {"Authorization": authorization, "Content-Type": "application/x-www-form-urlencoded"}
    with build_opener(ProxyHandler({})).open(Request(url, form.encode(), headers), timeout=10) as answer:
        return str(json.load(answer)["access_token"])


def report(sides: dict[str, Side]) -> None:
    """The table, then each target."""
    print(f"{'':34}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'processor us':>14}")
    for side in sides.values():
        print(side.row(34))
    for ours, peer, target in TARGETS:
        a, b = sides[ours], sides[peer]
        faster = [one.rate / other.rate for one, other in zip(a.answered, b.answered, strict=True)]
        cheaper = [other / one for one, other in zip(a.processor, b.processor, strict=True)]
        print(f"{ours} beside {peer}: {spread(faster)} times as many a second; target {target}")
        print(f"  {spread(cheaper)} times less of its own processor")


def spread(ratios: list[float]) -> str:
    """The median, with the tenth and the ninetieth percentile."""
    low, high = quantiles(ratios, n=10)[::8] if len(ratios) > 2 else (min(ratios), max(ratios))
    return f"{median(ratios):.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    if len(sys.argv) == 4:
        compare(rounds=int(sys.argv[1]), seconds=int(sys.argv[2]), clients=int(sys.argv[3]))
    else:
        main()
