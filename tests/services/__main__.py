"""Start PostgreSQL and Redis, run the whole suite on them in parallel, stop them: `python -m tests.services`."""

import os
import subprocess
import sys

from tests.services.servers import PostgreSQL, Redis, end_when_told


def main() -> int:
    end_when_told()
    with PostgreSQL() as database, Redis() as redis:
        environment = {**os.environ, "BROKER_DATABASE_URL": database.url, "BROKER_REDIS_URL": redis.url}
        # By file: the tests of an outage share a broker, and stop its servers one after the other.
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-m",
            "not node and not faults",
            "-n",
            "auto",
            "--dist",
            "loadfile",
        ]
        return subprocess.run([*command, *sys.argv[1:]], env=environment).returncode


sys.exit(main())
