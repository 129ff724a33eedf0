"""`manage.py verify_events`: was anything in the book changed, removed, inserted, reordered or cut off?"""

import json
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from broker.events.report import Verification
from broker.events.verification import verify_book

PROGRESS_SECONDS = 2.0


class Command(BaseCommand):
    help = (
        "Verify the book of events against its seals, the seals' signatures, and the seal log. "
        "Names the place of each change, removal, insertion, reorder or cut; exits with 1 when there is one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--log", type=Path, help="the seal log, or the copy of it that is kept elsewhere (default: BROKER_SEAL_LOG)"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        self.last_shown = time.monotonic()
        outcome = verify_book(options["log"] or settings.SEAL_LOG, now=timezone.now(), progress=self._show_progress)
        self.stdout.write(_as_json(outcome) if options["json"] else _as_lines(outcome))
        if outcome.problem_count:
            sys.exit(1)

    def _show_progress(self, events: int, seals: int) -> None:
        if time.monotonic() - self.last_shown > PROGRESS_SECONDS:
            self.last_shown = time.monotonic()
            self.stderr.write(f"… {events} events under {seals} seals so far")


def _as_lines(outcome: Verification) -> str:
    lines = [str(problem) for problem in outcome.problems]
    if outcome.problem_count > len(outcome.problems):
        lines.append(f"… and {outcome.problem_count - len(outcome.problems)} more problems")
    lines += outcome.statements
    lines.append(
        f"{outcome.events} events under {outcome.seals} seals and {outcome.lines} lines of the seal log checked,"
        f" {outcome.problem_count} problems found."
    )
    return "\n".join(lines)


def _as_json(outcome: Verification) -> str:
    return json.dumps(
        {
            "events": outcome.events,
            "seals": outcome.seals,
            "lines": outcome.lines,
            "problem_count": outcome.problem_count,
            "problems": [{"place": problem.place, "text": problem.text} for problem in outcome.problems],
            "statements": outcome.statements,
        },
        indent=2,
    )
