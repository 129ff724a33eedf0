"""`manage.py serve`: the embedded start, without the demonstration."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from broker.operations import embedded


class Command(BaseCommand):
    help = "Prepare the database and run the web server and the worker until Ctrl-C."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        port = embedded.listening_port(settings.BROKER_BASE_URL)
        parser.add_argument("--port", type=int, default=port, help="where to listen on loopback (default: %(default)s)")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        sys.exit(
            embedded.run(
                var=settings.VAR,
                port=options["port"],
                announce=self.announce,
                remedy="choose another: manage.py serve --port 8010",
            )
        )

    def announce(self, operators: Sequence[embedded.NewOperator]) -> None:
        """Say where it runs, and the one-time passwords of a first run."""
        self.stdout.write(f"Countersign answers at {settings.BROKER_BASE_URL} (Ctrl-C stops it).")
        self.stdout.write(f"The console is {settings.BROKER_BASE_URL}/admin/.")
        for operator in operators:
            self.stdout.write(f"  operator {operator.email}, one-time password {operator.password}")
        if not operators:
            self.stdout.write("A lost password: manage.py reset_operator E-MAIL")
