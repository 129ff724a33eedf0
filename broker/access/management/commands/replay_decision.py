"""`manage.py replay_decision ID`: make a decision again from what was stored with it."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from broker.access.entities import Verdict
from broker.access.replay import CannotReplay, find_decision, replay


class Command(BaseCommand):
    """Shows no personal value: ids of rules, types and the answer."""

    requires_system_checks: list[str] = []
    help = "Make a decision again from what was stored with it. Exit code 1 when the answer or its reasons differ."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("decision", metavar="ID", help="the id of the decision, as the answer told it")

    def handle(self, *args: Any, decision: str, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        found = find_decision(decision)
        if found is None:
            raise CommandError(f"there is no decision {decision}")
        try:
            replayed = replay(found)
        except CannotReplay as error:
            raise CommandError(f"decision {found.pk} cannot be made again: {error}") from error
        asked_by = found.caller or "the broker itself"
        self.stdout.write(
            f"decision {found.pk}, {found.at:%Y-%m-%d %H:%M:%S} UTC, asked by {asked_by}\n"
            f"{found.subject_type} wants to {found.action} {found.resource_type}, by policy set {found.policy_set}\n"
            f"then  {_told(replayed.stored)}\nnow   {_told(replayed.again)}"
        )
        if not replayed.is_same:
            self.stdout.write("different")
            sys.exit(1)
        self.stdout.write("same")


def _told(verdict: Verdict) -> str:
    reasons = f" by {', '.join(verdict.reasons)}" if verdict.reasons else ""
    errors = f", {len(verdict.errors)} errors" if verdict.errors else ""
    return f"{'permitted' if verdict.decision else 'denied'}{reasons}{errors}"
