"""`manage.py plan FILE`: the difference between a configuration file and what is registered."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from broker.operations.configuration import plan_configuration, read_configuration
from broker.operations.management.configuration_command import ConfigurationCommand
from broker.operations.plan_report import plan_json, plan_lines


class Command(ConfigurationCommand):
    """Shows what `apply` would do, and writes nothing."""

    help = "Show what applying FILE would change: + create, ~ change, - retire (only with --prune). Writes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--exit-code", action="store_true", help="exit with 2 when something would change")

    def carry_out(self, file: Path, options: dict[str, Any]) -> None:
        plan = plan_configuration(read_configuration(file), prune=options["prune"])
        if options["json"]:
            self.stdout.write(json.dumps(plan_json(plan), ensure_ascii=False))
        else:
            self.stdout.write("\n".join(plan_lines(plan)))
        if options["exit_code"] and plan.differences:
            sys.exit(2)
