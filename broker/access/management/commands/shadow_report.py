"""`manage.py shadow_report POLICY`: what a version would have changed while it was tried."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from broker.access.models import Flip
from broker.access.shadow import find_version, flips_of, report

FLIPS_SHOWN = 50


class Command(BaseCommand):
    """Shows no personal value: ids of decisions and of rules."""

    requires_system_checks: list[str] = []
    help = "Say how many decisions the tried version of a policy would have made otherwise, and which."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help="the policy's slug")
        parser.add_argument("--version-number", type=int, metavar="N", help="another version than the one tried now")
        parser.add_argument("--json", action="store_true", help="print one JSON object, with every flip")

    def handle(self, *args: Any, policy: str, version_number: int | None, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        version = find_version(policy, version_number)
        if version is None:
            raise CommandError(f"there is no version {version_number or ''} of a policy {policy}".replace("  ", " "))
        told, flips = report(version), flips_of(version)
        if options["json"]:
            counts = {
                name: getattr(told, name) for name in ("decisions", "flips", "would_permit", "would_deny", "failed")
            }
            written = {
                "policy": policy,
                "version": version.number,
                **counts,
                "changed": [_written(one) for one in flips],
            }
            self.stdout.write(json.dumps(written, ensure_ascii=False))
            return
        self.stdout.write(f"{policy} {version.number} {told.sentence}")
        for flip in flips[:FLIPS_SHOWN]:
            decision = flip.decision
            way = f"{_word(decision.decision)} -> {'failed' if flip.has_failed else _word(flip.would_be)}"
            reasons = ", ".join(flip.reasons) or "no rule permits it"
            asked = f"{decision.at:%Y-%m-%d %H:%M:%S} {decision.action} {decision.resource_type}"
            self.stdout.write(f"{decision.pk} {asked}: {way} ({reasons})")


def _word(decision: bool) -> str:  # noqa: FBT001 - the value itself
    return "yes" if decision else "no"


def _written(flip: Flip) -> dict[str, Any]:
    return {
        "decision": str(flip.decision_id),
        "at": flip.decision.at.isoformat(),
        "was": flip.decision.decision,
        "would_be": flip.would_be,
        "failed": flip.has_failed,
        "reasons": flip.reasons,
    }
