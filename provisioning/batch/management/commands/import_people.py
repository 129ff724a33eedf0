"""`manage.py import_people FILE.csv`: people from a file, planned first."""

import csv
import json
import os
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from broker.actors import SYSTEM
from broker.errors import BrokerError
from broker.wording import as_cell
from provisioning.batch.models import FileSource, Import
from provisioning.batch.planning import ImportPlan, plan_import
from provisioning.batch.reading import PeopleFile, Reject, open_file
from provisioning.batch.services import apply_import

HELD, DIFFERS = 3, 2


class Command(BaseCommand):
    """Exit status: 0 nothing left to do, 2 the plan would change something, 3 held or rows rejected, 1 a fault."""

    help = """Read people from a file of an HR system.

Without --apply it only says what would change, and writes nothing. With --apply it writes in steps; run it again
after it was cut short, and it goes on where it was. Rows that cannot be applied are written to FILE.rejects.csv with
their reasons. Values of the file lose where a source of greater authority says something else; that is counted.

Exit status: 0 nothing to do or all applied; 2 the plan would change something; 3 people are held for a second
operator or rows were rejected; 1 the file could not be used.
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="with a line of headings; comma, semicolon, tab or | between")
        parser.add_argument("--source", required=True, help="the slug of the file source (file_sources: in YAML)")
        parser.add_argument("--apply", action="store_true", help="write, after the plan was shown")
        parser.add_argument("--encoding", help="where the one that was found is wrong")
        parser.add_argument("--json", action="store_true", help="the outcome as JSON on standard output")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        source = FileSource.objects.filter(slug=options["source"], retired_at=None).first()
        if source is None:
            known = ", ".join(FileSource.objects.filter(retired_at=None).values_list("slug", flat=True)) or "none yet"
            raise CommandError(f"there is no file source {options['source']!r}; there are: {known}")
        try:
            found = open_file(file, key=source.key, columns=source.columns, encoding=options["encoding"])
            if options["apply"]:
                status = self._apply(source, found, as_json=options["json"])
            else:
                status = self._plan(source, found, as_json=options["json"])
        except BrokerError as error:
            detail = f" ({'; expected '.join(part for part in (error.detail, error.expected) if part)})"
            raise CommandError(f"{error.code}: {error.refusal.meaning}{detail} {error.refusal.remedy}") from error
        if status:
            sys.exit(status)

    def _plan(self, source: FileSource, file: PeopleFile, *, as_json: bool) -> int:
        plan = plan_import(source, file)
        if as_json:
            self.stdout.write(json.dumps(plan.as_json(), ensure_ascii=False, indent=2))
        else:
            self._tell_file(file)
            self._tell_plan(plan)
        if not plan.rows:
            raise BrokerError("import.nothing", detail="the file has headings and no rows")
        return DIFFERS if plan.created + plan.changed + plan.missing or plan.rejects else 0

    def _apply(self, source: FileSource, file: PeopleFile, *, as_json: bool) -> int:
        if not as_json:
            self._tell_file(file)
        with _rejects(file) as write:
            run = apply_import(source, file, actor=SYSTEM, on_reject=write, on_progress=self._show_progress)
        counts = {
            name: getattr(run, name)
            for name in (
                "rows", "created", "changed", "unchanged", "rejected", "conflicts", "missing", "closed", "state",
            )
        }  # fmt: skip
        if as_json:
            self.stdout.write(json.dumps({"import": run.pk} | counts, indent=2))
        else:
            self._tell_run(run, file)
        return HELD if run.state == Import.State.HELD or run.rejected else 0

    def _tell_file(self, file: PeopleFile) -> None:
        guess = " (a guess; name it with --encoding)" if file.is_guessed else ""
        self.stdout.write(f"{file.path.name}: {file.rows} rows, {file.encoding}{guess}, {file.delimiter!r} between")
        read = [f"{one} -> {name}" for one, name in zip(file.headings, file.attributes, strict=True) if name]
        self.stdout.write(f"  read: {', '.join(read)}")
        if file.unread:
            self.stdout.write(f"  not read: {', '.join(file.unread)}")

    def _tell_plan(self, plan: ImportPlan) -> None:
        self.stdout.write(
            f"would create {plan.created}, change {plan.changed}, leave {plan.unchanged} as they are, "
            f"close {plan.missing} that are missing, reject {len(plan.rejects)}"
        )
        for sample in plan.samples:
            self.stdout.write(f"  {sample}")
        for reject in plan.rejects[:10]:
            self.stdout.write(f"  row {reject.number}: {reject.code}: {reject.reason}")
        if plan.is_held:
            self.stdout.write("  so many are missing that a second operator will have to approve their closing")
        self.stdout.write("Nothing was written; add --apply.")

    def _tell_run(self, run: Import, file: PeopleFile) -> None:
        self.stdout.write(
            f"created {run.created}, changed {run.changed}, left {run.unchanged} as they were, closed {run.closed}, "
            f"rejected {run.rejected}; {run.conflicts} values lost to a source of greater authority"
        )
        if run.rejected:
            self.stdout.write(f"The rejected rows are in {_rejects_path(file)}, with their reasons.")
        if run.state == Import.State.HELD:
            self.stdout.write(
                f"{run.missing} people are missing in the file and stay open: a second operator has to approve their "
                "closing (console, Imports, Ask to close the missing)."
            )

    def _show_progress(self, run: Import) -> None:
        share = 100 * run.position // max(run.rows, 1)
        if sys.stderr.isatty():
            bar = "#" * (share // 4)
            self.stderr.write(f"\r  [{bar:<25}] {run.position} of {run.rows}", ending="")
            if run.position == run.rows:
                self.stderr.write("")


def _rejects_path(file: PeopleFile) -> Path:
    return file.path.with_name(f"{file.path.name}.rejects.csv")


@contextmanager
def _rejects(file: PeopleFile) -> Iterator[Any]:
    """Gives what writes one reject. The file is made with the first, for its owner alone: it holds personal data."""
    opened: list[Any] = []

    def write(reject: Reject) -> None:
        if not opened:
            descriptor = os.open(_rejects_path(file), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            opened.append(os.fdopen(descriptor, "a", encoding="utf-8", newline=""))
            if not opened[0].tell():
                csv.writer(opened[0]).writerow(["row", "code", "reason", *file.headings])
        cells = map(as_cell, reject.cells)
        csv.writer(opened[0]).writerow([reject.number, reject.code, reject.reason, *cells])

    try:
        yield write
    finally:
        for one in opened:
            one.close()
