"""The kill run: a large sync while its worker is killed a thousand times, Redis is emptied and PostgreSQL restarted.

`python -m tests.faults.kill_run [--kills 1000] [--people 3000] [--seed N]`. HR writes people and groups all the time;
two targets, each with a log of its own, take them. The judge is that log: nobody missing, nobody made twice, nothing
newer overtaken by something older. The targets let two accounts have one userName, so that a second create shows.
"""

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.world import World, say
from tests.services.servers import end_when_told

LIMITS = {
    "DELIVERY_BACKOFF": 0.2,
    "DELIVERY_BACKOFF_MAX": 2.0,
    # After a create whose end nobody saw the next attempt waits for so long; the targets need 25 ms.
    "TARGET_EXCHANGE_SECONDS": 2.0,
    # HR closes accounts by the thousand within an hour: no second operator is there to release them.
    "BREAKER_SMALLEST": 10**6,
}
BEAT = {"sweep-deliveries": 0.25, "read-notices": 0.5}
"""Sweeps come 20 times as often as in the product: a worker lives 0.4 s instead of weeks."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kill_run", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--people", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    arguments = parser.parse_args()
    end_when_told()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="countersign-kills-") as folder,
        World(Path(folder), limits=LIMITS, beat=BEAT) as world,
    ):
        world.become_product()
        from tests.faults.killing import KillRun  # only now: it uses the product's models

        is_good = KillRun(world, kills=arguments.kills, people=arguments.people, seed=arguments.seed).go()
    say(f"{time.monotonic() - began:.0f} s in all: {'none lost, none doubled' if is_good else 'FAILED'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
