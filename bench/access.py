"""A decision by AuthZEN beside a bare Django view: `python -m bench.access`.

1,000 rules, of which 150 can concern the question, are asked about people of a directory of 1,000 and of one of
100,000, each in a process and a database of its own. The questions are about the same 500 of them, as those of a
working day are. Both views are called as WSGI calls them, through all middleware, over a connection that stays open.
What is compared is CPU time of the answering thread, so waiting for a disk is not in it; the row that keeps the
decision is written each time, and what it takes by itself is shown.
"""

import json
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

from bench.workers import ask, start

FEW, MANY = 1_000, 100_000
RULES, CONCERNING = 1_000, 150
BATCH = 100
ASKED_ABOUT = 500
MORE_ALLOWED = 250e-6
"""Seconds that a decision may take beyond the bare view."""
BATCH_ALLOWED = 25e-3
FLAT_ALLOWED = 1.2
WARM_UPS = 3
KINDS = ("bare", "evaluation", "batch", "judged", "kept")


def main(*, rounds: int = 40, calls: int = 50) -> dict[int, dict[str, float]]:
    """Print the split for both directories, and return the medians in seconds: {people: {kind: seconds}}."""
    workers = {count: start("bench.access", count) for count in (FEW, MANY)}
    for worker in workers.values():
        for _ in range(WARM_UPS):
            ask(worker, {"calls": ASKED_ABOUT})
    measured: dict[int, list[dict[str, float]]] = {FEW: [], MANY: []}
    for number in range(rounds):
        for count in sorted(workers, reverse=bool(number % 2)):
            measured[count].append(ask(workers[count], {"calls": calls}))
    for worker in workers.values():
        assert worker.stdin is not None
        worker.stdin.close()
        worker.wait(timeout=60)
    medians = {count: {kind: median(one[kind] for one in rows) for kind in KINDS} for count, rows in measured.items()}
    print(f"{rounds} rounds of {calls} calls; SQLite; {RULES} rules, {CONCERNING} concern the question; CPU time")
    for count in (FEW, MANY):
        _print_split(count, medians[count], measured[count])
    ratios = [b["evaluation"] / a["evaluation"] for a, b in zip(measured[FEW], measured[MANY], strict=True)]
    low, high = _spread(ratios)
    print(f"{MANY} people against {FEW}: {median(ratios):.2f} times ({low:.2f} to {high:.2f}); at most {FLAT_ALLOWED}")
    return medians


def _print_split(count: int, medians: dict[str, float], rows: list[dict[str, float]]) -> None:
    more = [row["evaluation"] - row["bare"] for row in rows]
    low, high = (seconds * 1e6 for seconds in _spread(more))
    print(f"{count} people:")
    print(f"  bare view {medians['bare'] * 1e6:.0f} us, decision {medians['evaluation'] * 1e6:.0f} us")
    print(
        f"  a decision takes {median(more) * 1e6:.0f} us more ({low:.0f} to {high:.0f});"
        f" at most {MORE_ALLOWED * 1e6:.0f}"
    )
    print(f"    judged from memory and one query {medians['judged'] * 1e6:.0f} us, kept {medians['kept'] * 1e6:.0f} us")
    print(f"  a batch of {BATCH} {medians['batch'] * 1e3:.1f} ms; at most {BATCH_ALLOWED * 1e3:.0f} ms")


def _spread(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    parts = quantiles(values, n=10)
    return parts[0], parts[-1]


def work(count: int) -> None:
    """A worker: for each line {calls} a line with the mean CPU seconds of each kind of call."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BROKER_VAR"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        import django

        django.setup()
        logging.disable(logging.CRITICAL)
        from django.conf import settings
        from django.core.management import call_command
        from django.db import connection

        connection.settings_dict["CONN_MAX_AGE"] = None
        settings.ROOT_URLCONF = "bench.access_urls"
        settings.ALLOWED_HOSTS.append("testserver")  # what Django's test client says
        call_command("migrate", verbosity=0)
        stage = _Stage(count)
        for line in sys.stdin:
            print(json.dumps(stage.measure(json.loads(line)["calls"])), flush=True)


class _Stage:
    """A directory, a gateway and 1,000 rules."""

    def __init__(self, count: int) -> None:
        from bench.directory import make_directory
        from broker.wsgi import application
        from tests.broker.access.gateway import make_gateway

        self.people = make_directory(count)[:ASKED_ABOUT]
        self.chance = random.Random(1)
        self.gateway = make_gateway(resource_types={"record": ["read"]}, policy=_rules())
        self.handle = application

    def measure(self, calls: int) -> dict[str, float]:
        judge, keep = self._parts()
        return {
            "bare": self._serve("/access/v1/bare", self._question, calls),
            "evaluation": self._serve("/access/v1/evaluation", self._question, calls),
            "batch": self._serve("/access/v1/evaluations", self._batch, max(calls // 25, 1)),
            "judged": _mean(judge, calls),
            "kept": _mean(keep, calls),
        }

    def _parts(self) -> tuple[Callable[[], object], Callable[[], object]]:
        """What a decision is made of: judging it, and keeping it."""
        from django.utils import timezone

        from broker.access.callers import enforcing_client
        from broker.access.decisions import Judged, keep
        from broker.access.entities import Evaluation
        from broker.access.in_force import policies_in_force
        from broker.access.services import judge_many
        from broker.access.slices import load_slices, write_question

        caller, now = enforcing_client(self.gateway.client), timezone.now()

        def evaluation() -> Evaluation:
            asked = self._question()
            asked["action"], asked["context"] = {"name": "read"}, {}
            return Evaluation.from_json(asked)

        def judge() -> None:
            judge_many([evaluation()], caller=caller, now=now)

        asked = evaluation()
        question = write_question(asked, load_slices([asked]))
        (verdict,) = judge_many([asked], caller=caller, now=now)
        assert policies_in_force().compiled.number == verdict.policy_version
        judged = Judged(asked, question, verdict, is_known=True)
        return judge, lambda: keep([judged], caller="bench", trace_id="", now=now)

    def _question(self) -> dict[str, Any]:
        return {
            "subject": {"type": "user", "id": self.chance.choice(self.people)},
            "action": {"name": "read"},
            "resource": {"type": "record", "id": f"r{self.chance.randrange(1_000)}", "properties": {"level": 2}},
        }

    def _batch(self) -> dict[str, Any]:
        return {"evaluations": [self._question() for _ in range(BATCH)]}

    def _serve(self, path: str, body: Callable[[], dict[str, Any]], calls: int) -> float:
        """CPU seconds of one request, from WSGI's call to the last byte; the requests are written before."""
        from django.test import RequestFactory

        headers = {"Authorization": self.gateway.authorization}
        requests = [
            RequestFactory().post(path, json.dumps(body()), content_type="application/json", headers=headers).environ
            for _ in range(calls)
        ]
        began = time.thread_time()
        for environ in requests:
            response = self.handle(environ, lambda *_: None)
            b"".join(response)
            response.close()
        spent = time.thread_time() - began
        if response.status_code != 200:
            sys.exit(f"{path} answered {response.status_code}")
        return spent / calls


def _mean(call: Callable[[], object], calls: int) -> float:
    """CPU seconds of one call."""
    began = time.thread_time()
    for _ in range(calls):
        call()
    return (time.thread_time() - began) / calls


def _rules() -> str:
    """Rules about one type and action, and many more about others."""
    concerning = [
        f'permit (principal in Group::"bench/group-{number % 50}", action == Action::"read", resource is record)\n'
        f'when {{ resource has level && resource.level > {number % 7} && resource.id like "r{number}*" }};'
        for number in range(CONCERNING)
    ]
    others = [
        f'permit (principal in Group::"bench/group-{number % 50}", action == Action::"read",'
        f" resource is other{number % 17});"
        for number in range(RULES - CONCERNING)
    ]
    return "\n".join([*concerning, *others])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work(int(sys.argv[1]))
    else:
        found = main()
        more = found[MANY]["evaluation"] - found[MANY]["bare"]
        sys.exit(0 if more <= MORE_ALLOWED and found[MANY]["batch"] <= BATCH_ALLOWED else 1)
