"""`python -m tests.fakes.scim_target --port 0 --log FILE [--fast] [--token T] [--client ID:SECRET] [--<trait> …]`.

Says `listening PORT` when it does. An existing log is read first: the application is then as that left it.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from tests.fakes.scim_target.effects import EffectLog
from tests.fakes.scim_target.faults import Traits
from tests.fakes.scim_target.front import ROOT, Connection, Engine, Front


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.scim_target", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--log", type=Path, required=True, help="the append-only log of effects")
    parser.add_argument("--token", default="", help="the bearer token; without one everybody may come in")
    parser.add_argument("--client", default="", help="ID:SECRET that gets tokens at /oauth/token")
    parser.add_argument("--fast", action="store_true", help="the lean engine")
    parser.add_argument("--traits", type=json.loads, default={}, help="JSON: see faults.Traits")
    parser.add_argument("--latency", type=float, default=0, metavar="MS")
    parser.add_argument("--rate", type=float, default=0, metavar="REQUESTS_PER_SECOND")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input does")
    arguments = parser.parse_args()
    traits = Traits(latency_ms=arguments.latency, rate=arguments.rate)
    traits.change(**arguments.traits)
    log = EffectLog(arguments.log)
    front = Front(
        _engine(log, traits, fast=arguments.fast), log, traits, token=arguments.token, client=arguments.client
    )
    asyncio.run(_serve(front, arguments.port, until_eof=arguments.until_eof))


def _engine(log: EffectLog, traits: Traits, *, fast: bool) -> Engine:
    # Imported only when it is wanted: the core's libraries take a second and much memory, and there may be ten of us.
    if fast:
        from tests.fakes.scim_target.lean import LeanEngine

        return LeanEngine(log, traits)
    from tests.fakes.scim_target.honest import HonestEngine

    return HonestEngine(log, traits)


async def _serve(front: Front, port: int, *, until_eof: bool) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(front), "127.0.0.1", port, backlog=512)
    front.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{ROOT}"
    sys.stdout.write(f"listening {server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    ended = loop.create_future()
    if until_eof:
        loop.add_reader(sys.stdin, lambda: None if sys.stdin.read(1) else ended.done() or ended.set_result(None))
    await ended
    server.close()


main()
