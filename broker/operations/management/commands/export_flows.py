"""`manage.py export_flows`: every system, flow and credential, and who authorised it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from broker.operations.flow_export import register_csv, register_json
from broker.registry.flow_report import read_register

WRITERS = {"csv": register_csv, "json": register_json}


class Command(BaseCommand):
    """Writes the flow register to standard output."""

    requires_system_checks: list[str] = []
    help = (
        "Write every client with its credentials and flows, and who authorised them. Clients without a flow, "
        "unused and ended flows are marked. No secret is in it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=sorted(WRITERS), default="csv", help="csv (default) or json")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        self.stdout.write(WRITERS[options["format"]](read_register(now=timezone.now())), ending="")
