"""`manage.py doctor`: what is wrong with this installation, and what mends it."""

import json
import sys
from argparse import ArgumentParser
from collections import Counter
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from broker.operations.health import run_checks


class Command(BaseCommand):
    """Runs every check of `settings.DOCTOR_CHECKS`."""

    help = "Say what is wrong with this installation and what mends it. Exits with 1 when something is a fault."
    # They are one of the findings, so that the rest is still looked at when they fail.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        findings = run_checks(settings.DOCTOR_CHECKS)
        counts = Counter(finding.level for finding in findings)
        if options["json"]:
            body = {"checks": len(settings.DOCTOR_CHECKS), "findings": [asdict(finding) for finding in findings]}
            self.stdout.write(json.dumps(body))
        else:
            for finding in findings:
                remedy = f"  {finding.remedy}" if finding.remedy and finding.level != "ok" else ""
                self.stdout.write(f"{finding.level:<8}{finding.name}: {finding.text}.{remedy}")
            self.stdout.write(
                f"{len(settings.DOCTOR_CHECKS)} checks ran: {counts['fault']} faults, "
                f"{counts['warning']} warnings, {counts['ok']} in order."
            )
        if counts["fault"] or not findings:
            sys.exit(1)
