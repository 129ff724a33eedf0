"""`make test-faults`: the tests of single faults, the kill run, and the liar and the clerk, one after the other.

All of them run even when one fails; the exit status says whether any did. Arguments go to pytest, and then only that.
"""

import os
import subprocess
import sys
import time

from tests.services.servers import PostgreSQL, end_when_told

KILLS = int(os.environ.get("FAULTS_KILLS", "1000"))
PEOPLE_PER_KILL = 3
STOP_SECONDS = 30


def main() -> int:
    end_when_told()
    runs = [("single faults", lambda: _test(*sys.argv[1:]))]
    if not sys.argv[1:]:
        size = ("--kills", str(KILLS), "--people", str(KILLS * PEOPLE_PER_KILL))
        runs.append(("the kill run", lambda: _run("tests.faults.kill_run", *size)))
        runs.append(("the liar and the clerk", lambda: _run("tests.faults.liar_and_clerk")))
    verdicts = []
    for name, run in runs:
        sys.stdout.write(f"\n── {name} ──\n")
        sys.stdout.flush()
        began = time.monotonic()
        status = run()
        verdicts.append((status, f"{name}: {'passed' if not status else 'FAILED'} in {time.monotonic() - began:.0f} s"))
    sys.stdout.write("\n" + "".join(f"{line}\n" for _, line in verdicts))
    return max(status for status, _ in verdicts)


def _test(*arguments: str) -> int:
    with PostgreSQL() as database:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
        environment = {**kept, "BROKER_DATABASE_URL": database.url}
        return _wait(["-m", "pytest", "-q", "-m", "faults", "-n", "2", *(arguments or ["tests/faults"])], environment)


def _run(module: str, *arguments: str) -> int:
    return _wait(["-m", module, *arguments], dict(os.environ))


def _wait(arguments: list[str], environment: dict[str, str]) -> int:
    """Its exit status. It may end what it started when this process is told to end."""
    process = subprocess.Popen([sys.executable, *arguments], env=environment)
    try:
        return process.wait()
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


sys.exit(main())
