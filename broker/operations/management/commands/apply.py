"""`manage.py apply FILE`: make the registry what a configuration file says."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from broker.operations.configuration import apply_configuration, read_configuration
from broker.operations.management.configuration_command import ConfigurationCommand, operator_actor
from broker.operations.plan_report import outcome_json, outcome_lines


class Command(ConfigurationCommand):
    """Applies a file in one transaction."""

    help = "Make the registry what FILE says, all or nothing. Prints what it did, and issued secrets once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--operator", metavar="EMAIL", help="the operator who answers for it (default: the system)")

    def carry_out(self, file: Path, options: dict[str, Any]) -> None:
        actor = operator_actor(options["operator"])
        outcome = apply_configuration(read_configuration(file), actor=actor, prune=options["prune"])
        if options["json"]:
            self.stdout.write(json.dumps(outcome_json(outcome), ensure_ascii=False))
        else:
            self.stdout.write("\n".join(outcome_lines(outcome)))
