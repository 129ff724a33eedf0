"""Workers of a bench: a process each with a database of its own, asked line by line."""

import json
import os
import subprocess
import sys
from typing import Any


def start(module: str, count: int) -> subprocess.Popen[str]:
    """`python -m <module> <count>`, which reads nothing of this broker from our environment."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BROKER_")}
    return subprocess.Popen(
        [sys.executable, "-m", module, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def ask(worker: subprocess.Popen[str], question: dict[str, Any]) -> dict[str, float]:
    """The worker's line of answer to one line. Ends the bench when the worker has ended."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    print(json.dumps(question), file=worker.stdin, flush=True)
    line = worker.stdout.readline()
    if not line:
        sys.exit("a worker of the bench ended early")
    return dict(json.loads(line))
