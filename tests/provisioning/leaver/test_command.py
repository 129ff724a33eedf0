"""`manage.py leaver`: how cases stand, and the export with the program that judges it."""

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from broker.events.models import Event
from provisioning.leaver.doctor import check_leavers
from provisioning.leaver.gauges import read_gauges
from provisioning.leaver.models import Case
from tests.provisioning.leaver.places import Places
from tests.provisioning.leaver.stage import VERIFIER, Leaver, make_target, seal, verify, with_account, with_session

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[str, int]:
    output = io.StringIO()
    try:
        call_command("leaver", *arguments, stdout=output)
    except SystemExit as ended:
        return output.getvalue(), int(str(ended.code))
    return output.getvalue(), 0


def gauge(name: str, **labels: str) -> float:
    samples = [sample for metric in read_gauges() for sample in metric.samples]
    return next(sample.value for sample in samples if sample.name == name and sample.labels == labels)


def test_nobody_watched_is_said_and_is_no_success() -> None:
    text, status = run("status")
    assert "nothing was looked at" in text
    assert status == 0


def test_the_status_names_what_is_open(leaver: Leaver, places: Places) -> None:
    with_account(leaver, "crm")
    places.behaviour["target:crm"] = "down"
    case = leaver.leave()
    text, status = run("status")
    assert str(case.pk) in text
    assert "target crm (CRM)" in text
    assert status == 0
    told = json.loads(run("status", "--json")[0])
    assert told["total"] == 1
    assert told["cases"][0]["certificate"]["state"] == "open"
    assert [one["code"] for one in told["cases"][0]["open"]] == ["waiting"]


def test_a_red_case_makes_the_status_fail_and_the_doctor_and_the_scrape_say_so(leaver: Leaver) -> None:
    case = leaver.leave()
    assert [finding.level for finding in check_leavers()] == ["ok"]
    Case.objects.update(state="late")
    assert run("status")[1] == 1
    assert run("status", str(case.pk))[1] == 1
    (finding,) = check_leavers()
    assert finding.level == "fault"
    assert str(case.pk) in finding.text
    assert gauge("countersign_leaver_cases", state="late") == 1
    assert gauge("countersign_leaver_red_seconds") >= 0


def test_cases_that_nobody_looks_at_are_a_fault(leaver: Leaver) -> None:
    case = leaver.leave()
    Case.objects.update(look_at=case.opened_at.replace(year=2020))
    assert [finding.name for finding in check_leavers()] == ["leavers: looking"]


def test_open_items_are_counted_by_kind(leaver: Leaver, places: Places) -> None:
    with_account(leaver, "crm")
    leaver.leave()
    assert gauge("countersign_leaver_open_items", kind="target") == 1


def test_the_export_is_written_with_its_verifier_and_both_fit(leaver: Leaver, log: Path, tmp_path: Path) -> None:
    with_session(leaver)
    make_target("erp")
    leaver.leave()
    seal()
    text, status = run("export", str(leaver.person.pk), "--to", str(tmp_path))
    (export,) = tmp_path.glob("leaver-*.json")
    assert status == 0
    assert "not sealed yet" not in text
    assert export.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "verify_leaver.py").read_text() == VERIFIER.read_text()
    assert verify(tmp_path, export.read_text(), anchor=log).returncode == 0
    assert Event.objects.filter(type="leaver.exported", actor_kind="system").count() == 1


def test_an_export_too_early_says_so(leaver: Leaver, tmp_path: Path) -> None:
    leaver.leave()
    assert "not sealed yet: export again" in run("export", str(leaver.case.pk), "--to", str(tmp_path))[0]


@pytest.mark.parametrize("raw_id", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_what_is_no_case_is_refused(raw_id: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        call_command("leaver", "export", raw_id, "--to", str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_refused(leaver: Leaver, tmp_path: Path) -> None:
    leaver.leave()
    with pytest.raises(CommandError, match="no folder"):
        call_command("leaver", "export", str(leaver.case.pk), "--to", str(tmp_path / "nowhere"))
