"""What `plan` and `apply` have in common: the file, the operator, and how problems are told."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from broker.actors import SYSTEM, Actor, ActorKind
from broker.console.models import Operator
from broker.operations.plan_report import problem_lines, problems_json
from broker.operations.plans import BadConfiguration


class ConfigurationCommand(BaseCommand):
    """Reads a configuration file; problems go to standard error line by line, and the exit code is 1."""

    # A file is judged by itself; what is wrong with the installation is the doctor's.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the YAML file")
        parser.add_argument("--prune", action="store_true", help="retire every party that the file does not name")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            self.carry_out(options["file"], options)
        except BadConfiguration as error:
            if options["json"]:
                self.stdout.write(json.dumps(problems_json(str(options["file"]), error.problems), ensure_ascii=False))
            else:
                for line in problem_lines(str(options["file"]), error.problems):
                    self.stderr.write(line)
                count = len(error.problems)
                self.stderr.write(f"{count} problem{'s' if count != 1 else ''}; nothing was written.")
            sys.exit(1)

    def carry_out(self, file: Path, options: dict[str, Any]) -> None:
        """What the command does with the file."""
        raise NotImplementedError


def operator_actor(email: str | None) -> Actor:
    """The operator who answers for the change, else the system itself. Raises CommandError."""
    if email is None:
        return SYSTEM
    operator = Operator.objects.filter(email__iexact=email, is_active=True).first()
    if operator is None or operator.role != Operator.Role.OPERATOR:
        raise CommandError(f"{email} is not an active operator who may change anything")
    return Actor(ActorKind.OPERATOR, operator.email)
