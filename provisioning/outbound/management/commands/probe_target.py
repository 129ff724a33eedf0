"""`manage.py probe_target TARGET`: find out what a target can do, and say it."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from broker.actors import SYSTEM
from provisioning.outbound.connectors.base import TargetError
from provisioning.outbound.models import Target
from provisioning.outbound.probing import probe


class Command(BaseCommand):
    """What the console's "Probe" does, for those who have a terminal."""

    help = "Create, read, change, close and delete a canary account at a target, and keep what that showed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("target", metavar="TARGET", help="its slug")
        parser.add_argument("--json", action="store_true", help="print what was found as JSON, with the evidence")

    def handle(self, *args: Any, target: str, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        found = Target.objects.filter(slug=target, retired_at=None).select_related("application").first()
        if found is None:
            raise CommandError(f"there is no target {target}")
        try:
            can = probe(found, actor=SYSTEM)
        except TargetError as error:
            raise CommandError(
                f"{error.code}: {error.refusal.meaning} {error.detail} {error.refusal.remedy}"
            ) from error
        if options["json"]:
            self.stdout.write(json.dumps(can.as_column(), indent=2))
            return
        for step in can.evidence:
            self.stdout.write(f"  {step['step']}: {step['result']}")
        groups = f"groups by {can.group_method}" if can.group_method else "no groups"
        bulk = f"bulk of {can.bulk_operations}" if can.bulk else "no bulk"
        self.stdout.write(f"{target}: changes by {can.method}, {groups}, {bulk}, lists by {can.paging}")
        if not can.closes:
            self.stderr.write("It does not close accounts: leavers stay open there unless the policy is delete.")
