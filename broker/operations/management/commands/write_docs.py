"""`manage.py write_docs`: the pages of `docs/` that follow from tables in the code."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from broker import refusals
from broker.events import catalogue


class Command(BaseCommand):
    """Writes docs/refusals.md and docs/events.md."""

    help = "Write docs/refusals.md and docs/events.md from the catalogues in the code."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a page is stale")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        stale = [(path, text) for path, text in pages(settings.ROOT / "docs") if _read(path) != text]
        for path, text in stale:
            if options["check"]:
                self.stdout.write(f"docs/{path.name} is stale: run manage.py write_docs")
            else:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
                self.stdout.write(f"docs/{path.name} is written.")
        if not stale:
            self.stdout.write("2 pages looked at, both in step with the code.")
        if stale and options["check"]:
            sys.exit(1)


def pages(folder: Path) -> list[tuple[Path, str]]:
    """Each page as (path, text)."""
    return [(folder / "refusals.md", refusals_page()), (folder / "events.md", events_page())]


def refusals_page() -> str:
    """Every refusal code in the order of the catalogue, which is the order of the rooms that refuse."""
    rows = [
        f"| `{refusal.code}` | {refusal.status} | {_cell(refusal.meaning)} | {refusal.mender.value} |"
        f" {_cell(refusal.remedy)} |"
        for refusal in refusals.CATALOGUE
    ]
    return _page(
        "Refusal codes",
        "A refusal shows its code and a trace id, on the page or in the JSON answer. A code keeps its meaning for"
        " good. What was expected and what came instead stands in the console, under the trace id.",
        "| Code | HTTP | Meaning | Who can mend it | How |",
        "|---|---|---|---|---|",
        rows,
        source="broker/refusals.py",
    )


def events_page() -> str:
    """Every event type by name."""
    rows = [
        f"| `{event_type.name}` | {event_type.severity.value} | {_cell(event_type.meaning)} |"
        for event_type in sorted(catalogue.CATALOGUE.values(), key=lambda row: row.name)
    ]
    return _page(
        "Events",
        "Every event stands in the book with its time, actor, address, trace id, subject, identity provider,"
        " application and code. `manage.py verify_events` shows whether one was changed, removed or inserted.",
        "| Type | Severity | Meaning |",
        "|---|---|---|",
        rows,
        source="broker/events/catalogue.py",
    )


def _page(title: str, lead: str, head: str, rule: str, rows: list[str], *, source: str) -> str:
    note = f"<!-- Written by `manage.py write_docs` from {source}: change it there. -->"
    return "\n".join([f"# {title}", "", note, "", lead, "", head, rule, *rows, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
