"""A whole login from SAML to SAML over HTTP, beside SATOSA as it ships: `python -m bench.satosa`.

Each broker has one worker. The same browser drives both, with the same identity provider's and service provider's
code around them; rounds alternate. Response and assertion are signed, upstream and downstream. A login counts with the
seconds that the browser waited for the broker: what the identity provider and the service provider do is not in it.
Ours has 5,000 identity providers registered and asks a durable PostgreSQL; SATOSA has one, and keeps nothing. Ours is
measured twice: by one identity provider, as SATOSA, and walking through all of them at random, each read anew.

How many logins a second one worker does is counted with several browsers at once, so that it always has work; how long
a login takes, with one browser alone. The worker has a processor core to itself; the browsers, what stands around the
brokers and the database share another.
"""

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

from bench import satosa_peer
from bench.satosa_driver import Broker

COMPANIES = 5_000
TARGET = 15.0
SPREAD = 4.0
"""At most so many times p50 is p99."""
WARM_UP_LOGINS = 5
BROWSERS = 6
"""At once, when logins a second are counted."""
BUSY_SECONDS = 6.0
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Measured:
    """One round: the seconds of each login of a single browser, the processor seconds of one on the average, and how
    many a second were done when several browsers asked at once.
    """

    seconds: list[float]
    processor: float
    a_second: float

    @property
    def mean(self) -> float:
        return sum(self.seconds) / len(self.seconds)


def main(*, rounds: int = 15, is_quick: bool = False) -> None:
    """Print the comparison. In a quick run it is left out where SATOSA is not installed; else it is installed."""
    if not satosa_peer.is_installed():
        if is_quick:
            print("left out: SATOSA is not installed in .peers/satosa; a run without --quick installs it")
            return
        satosa_peer.install()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BROKER_", "DJANGO_"))}
    # A process of its own, which the settings tell of this broker and no other.
    subprocess.run([sys.executable, "-m", "bench.satosa", str(rounds)], check=True, env=kept)


def compare(*, rounds: int, logins: int = 60, peer_logins: int = 8) -> None:
    """Measure both, print the table. Runs in a process whose settings are nobody's yet."""
    from bench import satosa_ours
    from tests.services.servers import free_port

    hold_core(os.getpid(), 0)
    with satosa_ours.DurablePostgreSQL() as database, tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        os.environ.update(satosa_ours.environment(folder, port=port, database_url=database.url))
        import django

        django.setup()
        logging.disable(logging.CRITICAL)
        companies, certificate = satosa_ours.prepare(COMPANIES)
        peer_folder = folder / "satosa"
        peer_folder.mkdir()
        server_version = database.run("psql", "-h", "127.0.0.1", "-p", str(database.port), "-U", "countersign", "-Atc",
                                      "show server_version").stdout.split()[0]  # fmt: skip
        with (
            satosa_peer.running(peer_folder, port=free_port()) as peer,
            satosa_ours.running(folder, port=port, companies=companies, certificate=certificate) as ours,
        ):
            for broker in (peer, ours):
                hold_core(broker.process_id, 1)
            one = replace(ours, name="Countersign, one company", companies=companies[:1])
            sides = {one: logins, ours: logins, peer: peer_logins}
            for broker in sides:
                for _ in range(WARM_UP_LOGINS):
                    broker.log_in()
            measured = take_turns(sides, rounds)
    print(f"{satosa_peer.versions()}; granian {version('granian')}, PostgreSQL {server_version}, fsync on")
    print(f"{rounds} rounds of {logins} and of SATOSA's {peer_logins} logins, one after the other")
    report({broker.name: taken for broker, taken in measured.items()}, peer=peer.name)


def take_turns(sides: dict[Broker, int], rounds: int) -> dict[Broker, list[Measured]]:
    measured: dict[Broker, list[Measured]] = {broker: [] for broker in sides}
    for number in range(rounds):
        for broker in list(sides)[:: 1 if number % 2 else -1]:
            measured[broker].append(measure(broker.log_in, sides[broker], process_id=broker.process_id))
    return measured


def measure(log_in: Callable[[], list[float]], times: int, *, process_id: int) -> Measured:
    before = processor_seconds(process_id)
    seconds = [sum(log_in()) for _ in range(times)]
    processor = (processor_seconds(process_id) - before) / times
    return Measured(seconds, processor, logins_a_second(log_in))


def logins_a_second(log_in: Callable[[], list[float]]) -> float:
    """How many logins end in a second while BROWSERS log in again and again, each as soon as the last has ended."""
    ends_at = time.monotonic() + BUSY_SECONDS

    def keep_logging_in(_: int) -> int:
        done = 0
        while time.monotonic() < ends_at:
            log_in()
            done += 1
        return done

    began = time.monotonic()
    with ThreadPoolExecutor(BROWSERS) as browsers:
        done = sum(browsers.map(keep_logging_in, range(BROWSERS)))
    return done / (time.monotonic() - began)


def hold_core(process_id: int, core: int) -> None:
    """Keep a process, its threads and its children on one processor core; where there is one core alone, nothing."""
    if (os.cpu_count() or 1) <= core:
        return
    for thread in Path(f"/proc/{process_id}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})
        for child in (thread / "children").read_text().split():
            hold_core(int(child), core)


def processor_seconds(process_id: int) -> float:
    """What this process, its living children and theirs, and all that they waited for have used so far."""
    own = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    spent = sum(int(ticks) for ticks in own[11:15]) / CLOCK_TICKS  # user, system, and those of children that ended
    children = [path.read_text().split() for path in Path(f"/proc/{process_id}/task").glob("*/children")]
    return spent + sum(processor_seconds(int(child)) for of_thread in children for child in of_thread)


def report(measured: dict[str, list[Measured]], *, peer: str) -> None:
    """The table, then each of ours beside the peer, round by round."""
    columns = f"{'p50':>8}{'p99':>8}{'mean':>8}{'processor':>11}{f'by {BROWSERS} at once: logins/s':>26}"
    print(f"{'a login, milliseconds':28}{columns}")
    for name, rounds in measured.items():
        seconds = sorted(one for round_ in rounds for one in round_.seconds)
        mean = sum(seconds) / len(seconds)
        waited = "".join(f"{one * 1000:8.1f}" for one in (quantile(seconds, 50), quantile(seconds, 99), mean))
        processor = median(round_.processor for round_ in rounds)
        a_second = median(round_.a_second for round_ in rounds)
        print(f"{name:28}{waited}{processor * 1000:11.1f}{a_second:26.1f}")
    theirs = measured[peer]
    for name, rounds in measured.items():
        if name == peer:
            continue
        more = [a.a_second / b.a_second for a, b in zip(rounds, theirs, strict=True)]
        faster = [b.mean / a.mean for a, b in zip(rounds, theirs, strict=True)]
        cheaper = [b.processor / a.processor for a, b in zip(rounds, theirs, strict=True)]
        seconds = sorted(one for round_ in rounds for one in round_.seconds)
        spread = quantile(seconds, 99) / quantile(seconds, 50)
        print(f"{name}: {_spread(more)} times as many logins a second as {peer}; target {TARGET:.0f}")
        print(f"  one browser alone waits {_spread(faster)} times shorter")
        print(f"  for a login {_spread(cheaper)} times less processor time")
        print(f"  p99 {spread:.1f} times p50; below {SPREAD:.0f} wanted")


def _spread(ratios: list[float]) -> str:
    return f"{median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"


def quantile(ordered: list[float], percent: int) -> float:
    return quantiles(ordered, n=100, method="inclusive")[percent - 1]


if __name__ == "__main__":
    if len(sys.argv) == 2:
        compare(rounds=int(sys.argv[1]))
    else:
        main()
