"""`manage.py leaver`: who left and what is still open, and the signed export of a case with its verifier."""

import json
import sys
import uuid
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.events.models import Event, Seal
from provisioning.leaver.certificate import certify
from provisioning.leaver.exporting import as_text, export_case, name_of
from provisioning.leaver.models import Case, Item
from provisioning.leaver.program import NAME, verifier_text

CASES_SHOWN = 50
FILE_MODE = 0o600


class Command(BaseCommand):
    help = (
        "Leavers: `status` says how their cases stand (exits with 1 when one is late or reopened), `export CASE` writes"
        " the signed export of one, and beside it the program that verifies it offline."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        status = actions.add_parser("status", help="how the cases stand")
        status.add_argument("case", nargs="?", help="a case or a person, by id: item by item")
        status.add_argument("--json", action="store_true", help="one JSON object instead of lines")
        export = actions.add_parser("export", help="write the signed export of a case")
        export.add_argument("case", help="a case or a person, by id")
        export.add_argument("--to", type=Path, default=Path(), help="the folder (default: this one)")
        export.add_argument("--whole", action="store_true", help="read all events since, however many: see the manual")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        if options["action"] == "export":
            self._export(find_case(options["case"]), options["to"], is_whole=options["whole"])
            return
        found = find_case(options["case"]) if options["case"] else None
        live = Case.objects.filter(closed_at=None).order_by("-opened_at")
        cases = [found] if found else list(live[:CASES_SHOWN])
        total = 1 if found else live.count()
        if options["json"]:
            self.stdout.write(json.dumps({"total": total, "cases": [_as_json(case) for case in cases]}, indent=2))
        else:
            self._show(cases, total, with_items=found is not None)
        if any(case.is_red for case in cases) or (not found and live.filter(state__in=Case.RED).exists()):
            sys.exit(1)

    def _show(self, cases: list[Case], total: int, *, with_items: bool) -> None:
        for case in cases:
            items = list(case.items.all())
            self.stdout.write(f"{case.state:<13} {case.pk} person {case.person_id} left {case.left_at:%Y-%m-%d %H:%M}")
            self.stdout.write(f"              {certify(case, items).statement}")
            for item in items:
                if with_items or item.is_open:
                    self.stdout.write(f"  {_line(item)}")
        if total > len(cases):
            self.stdout.write(f"… and {total - len(cases)} more")
        if not total:
            self.stdout.write("Nobody is watched: no case is there, so nothing was looked at.")

    def _export(self, case: Case, folder: Path, *, is_whole: bool) -> None:
        if not folder.is_dir():
            raise CommandError(f"{folder} is no folder")
        rows_read = None if is_whole else limits.LEAVER_ROWS_READ_AGAIN
        exported = export_case(case, actor=SYSTEM, rows_read=rows_read)
        export, program = folder / name_of(case, at=timezone.now()), folder / NAME
        for path, text in ((export, as_text(exported)), (program, verifier_text())):
            path.touch(mode=FILE_MODE)
            path.write_text(text, encoding="utf-8")
        self.stdout.write(f"{export}: {exported['certificate']['statement']}")
        unsealed = _unsealed(exported)
        if unsealed:
            self.stdout.write(f"{unsealed} of its events are not sealed yet: export again after the next seal.")
        book = exported["book"]
        if book["read_until"] < book["newest_seal"]:
            self.stdout.write(f"Of the events since, those after seal {book['read_until']} were not read: see --whole.")
        self.stdout.write(f"Verify it elsewhere: python3 {NAME} {export.name} --anchor seals.log")


def find_case(raw_id: str) -> Case:
    """A case by its own id, or the newest of a person. Raises CommandError."""
    try:
        wanted = uuid.UUID(raw_id)
    except ValueError as error:
        raise CommandError(f"{raw_id} is the id of no case and no person") from error
    case = Case.objects.filter(pk=wanted).first() or Case.objects.filter(person=wanted).order_by("-opened_at").first()
    if case is None:
        raise CommandError(f"{wanted} is the id of no case, and of no person who left")
    return case


def _line(item: Item) -> str:
    until = (
        f" until {item.until:%Y-%m-%d %H:%M:%S} UTC" if item.state == Item.State.NOT_VERIFIABLE and item.until else ""
    )
    late = ", late" if item.late_at else ""
    return f"{item.get_state_display()}{until}{late}: {item.title}: {item.get_code_display()}"


def _as_json(case: Case) -> dict[str, Any]:
    items = list(case.items.all())
    return {
        "case": str(case.pk),
        "person": str(case.person_id),
        "certificate": certify(case, items).as_json(),
        "open": [
            {"item": item.key, "code": item.code, "late": item.late_at is not None} for item in items if item.is_open
        ],
    }


def _unsealed(exported: dict[str, Any]) -> int:
    last = Seal.objects.order_by("-id").first()
    ids = [event["id"] for event in exported["events"]]
    return Event.objects.filter(pk__in=ids, pk__gt=last.until_id if last else 0).count()
