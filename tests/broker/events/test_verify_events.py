"""`manage.py verify_events`: its exit code, its lines and its JSON."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from broker.events.models import Event, Seal
from broker.events.sealing import seal_events
from tests.flush import without_triggers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signer")]
COMMAND = "broker.events.management.commands.verify_events"


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output, errors."""
    output, errors = io.StringIO(), io.StringIO()
    try:
        call_command("verify_events", *arguments, stdout=output, stderr=errors)
    except SystemExit as end:
        return int(end.code or 0), output.getvalue(), errors.getvalue()
    return 0, output.getvalue(), errors.getvalue()


@pytest.fixture
def changed(log: Path, write: Callable[..., list[Event]]) -> Event:
    """An event that was changed after it was sealed."""
    [event] = write()
    seal_events(timezone.now())
    with without_triggers():
        Event.objects.filter(id=event.id).update(code="other")
    return event


def test_a_sound_book_exits_with_0_and_says_how_much_was_checked(log: Path) -> None:
    seal_events(timezone.now())
    code, output, _ = run()
    assert code == 0
    assert f"{Event.objects.count()} events under 1 seals and 2 lines of the seal log checked, 0 problems" in output


def test_a_book_without_seals_says_that_0_events_were_checked(log: Path) -> None:
    code, output, _ = run()
    assert code == 0
    assert "0 events under 0 seals and 0 lines of the seal log checked" in output
    assert "events are not sealed yet" in output


def test_a_problem_exits_with_1_and_is_named(changed: Event) -> None:
    code, output, _ = run()
    assert code == 1
    assert f"event {changed.id}: changed since seal {Seal.objects.get().id} was made" in output


def test_json_names_the_places(changed: Event) -> None:
    code, output, _ = run("--json")
    answer = json.loads(output)
    assert code == 1
    assert [problem["place"] for problem in answer["problems"]] == [f"event {changed.id}"]
    assert answer["events"] == Event.objects.count()


def test_another_copy_of_the_log_can_be_named(changed: Event, tmp_path: Path) -> None:
    _, output, _ = run("--log", str(tmp_path / "nowhere"))
    assert "the seal log: cannot be read" in output


def test_a_long_run_shows_that_it_goes_on(changed: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{COMMAND}.PROGRESS_SECONDS", -1.0)
    _, _, errors = run("--json")
    assert "events under 1 seals so far" in errors


def test_more_problems_than_are_kept_are_counted(changed: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.events.report.PROBLEMS_MAX", 0)
    code, output, _ = run()
    assert code == 1
    assert "and 1 more problems" in output


def test_help_explains_what_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("verify_events", "--help")
    assert "exits with 1" in " ".join(capsys.readouterr().out.split())
