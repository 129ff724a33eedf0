"""`manage.py setup`: what a new installation needs after its tables, and what is left to do by hand."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from broker.actors import SYSTEM
from broker.findings import Finding
from broker.keys.services import ensure_keys
from broker.operations.health import is_ready, run_checks
from broker.registry.registering.resources import register_own_resources

BEFORE = ("broker.operations.health.check_database", "broker.operations.health.check_migrations")
KEYS = ("broker.keys.health.check_signing_keys",)
BY_HAND = ("broker.console.doctor.check_operators",)


class Command(BaseCommand):
    """Makes the first keys and registers our own APIs. A second run makes nothing."""

    help = (
        "Make the first keys of a migrated database, register our own APIs, and say what is left to do by hand. May"
        " run at each start: what is there stays. Exits with 1 when the tables are not those of this version, or a key"
        " does not open."
    )
    # The doctor's; here they would only hide a database that does not answer.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        findings = run_checks(BEFORE)
        made: list[dict[str, str]] = []
        is_done = False
        if is_ready(findings):
            made = [{"kid": key.kid, "use": key.use, "algorithm": key.algorithm} for key in ensure_keys(SYSTEM)]
            made += [{"resource": row.identifier} for row in register_own_resources(actor=SYSTEM)]
            findings += run_checks(KEYS)
            is_done = is_ready(findings)
            findings += run_checks(BY_HAND)
        if options["json"]:
            self.stdout.write(json.dumps({"made": made, "findings": [asdict(finding) for finding in findings]}))
        else:
            self._say(made, findings)
        if not is_done:
            sys.exit(1)

    def _say(self, made: list[dict[str, str]], findings: list[Finding]) -> None:
        for row in made:
            what = f"key {row['kid']} ({row['use']} {row['algorithm']})" if "kid" in row else f"API {row['resource']}"
            self.stdout.write(f"made    {what}")
        for finding in findings:
            word = "ok" if finding.level == "ok" else "to do"
            remedy = f"  {finding.remedy}" if finding.remedy and finding.level != "ok" else ""
            self.stdout.write(f"{word:<8}{finding.name}: {finding.text}.{remedy}")
