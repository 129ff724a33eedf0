"""The pages that follow from the code are in step with it."""

import io
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from broker.events.catalogue import CATALOGUE
from broker.refusals import CATALOGUE as REFUSALS


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and output of write_docs."""
    output = io.StringIO()
    try:
        call_command("write_docs", *arguments, stdout=output)
    except SystemExit as end:
        return int(end.code or 0), output.getvalue()
    return 0, output.getvalue()


def test_the_written_pages_are_in_step() -> None:
    code, output = run("--check")
    assert (code, output.strip()) == (0, "2 pages looked at, both in step with the code.")


def test_a_stale_page_fails_the_check_and_stays_as_it_is(tmp_path: Path, settings: Settings) -> None:
    settings.ROOT = tmp_path
    run()
    page = tmp_path / "docs" / "events.md"
    page.write_text("old")
    code, output = run("--check")
    assert code == 1
    assert output == "docs/events.md is stale: run manage.py write_docs\n"
    assert page.read_text() == "old"


@pytest.mark.parametrize(("name", "keys"), [("refusals.md", [row.code for row in REFUSALS]), ("events.md", CATALOGUE)])
def test_every_row_of_a_catalogue_has_one_line(tmp_path: Path, settings: Settings, name: str, keys: list[str]) -> None:
    settings.ROOT = tmp_path
    run()
    text = (tmp_path / "docs" / name).read_text()
    assert all(text.count(f"| `{key}` |") == 1 for key in keys)
    assert text.count("\n| `") == len(keys)
