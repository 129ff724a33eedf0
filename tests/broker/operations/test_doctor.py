"""The doctor: one line per finding, honest counts, exit 1 on a fault; and what it asks of settings and files."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from broker.findings import Finding
from broker.operations.doctor import check_permissions, check_settings

pytestmark = pytest.mark.django_db


def ok_check() -> list[Finding]:
    return [Finding("first", "ok", "all is well", "not to be shown")]


def warning_check() -> list[Finding]:
    return [Finding("second", "warning", "something is odd", "Look at it.")]


def fault_check() -> list[Finding]:
    return [Finding("third", "fault", "something is broken", "Mend it.")]


def raising_check() -> list[Finding]:
    raise OSError("disk")


def run(settings, *checks: object, json_output: bool = False) -> tuple[str, int]:
    settings.DOCTOR_CHECKS = [f"{__name__}.{check.__name__}" for check in checks]
    out, status = StringIO(), 0
    try:
        call_command("doctor", stdout=out, json=json_output)
    except SystemExit as end:
        status = end.code
    return out.getvalue(), status


def test_warnings_do_not_fail_the_doctor(settings):
    text, status = run(settings, ok_check, warning_check)
    assert status == 0
    assert "warning second: something is odd.  Look at it." in text
    assert "not to be shown" not in text
    assert text.endswith("2 checks ran: 0 faults, 1 warnings, 1 in order.\n")


def test_a_fault_fails_the_doctor_and_the_other_checks_still_run(settings):
    text, status = run(settings, fault_check, ok_check)
    assert status == 1
    assert "fault   third: something is broken.  Mend it." in text
    assert "ok      first: all is well." in text


def test_a_check_that_raises_is_a_fault(settings):
    text, status = run(settings, raising_check)
    assert status == 1
    assert "raising_check: the check broke (OSError)" in text


def test_a_doctor_without_checks_does_not_say_that_all_is_well(settings):
    text, status = run(settings)
    assert status == 1
    assert "0 checks ran" in text


def test_the_doctor_speaks_json(settings):
    text, status = run(settings, fault_check, json_output=True)
    assert status == 1
    assert json.loads(text) == {
        "checks": 1,
        "findings": [{"name": "third", "level": "fault", "text": "something is broken", "remedy": "Mend it."}],
    }


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


def test_loopback_settings_are_in_order():
    assert levels(check_settings()) == ["ok"]


@pytest.fixture
def public(settings, monkeypatch):
    """An installation beyond this machine with nothing to complain of."""
    settings.BROKER_IS_LOOPBACK = False
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.postgresql")
    settings.REDIS_URL = "redis://redis.internal"
    settings.TRUSTED_PROXIES = 1
    settings.DEMONSTRATION = None
    settings.OUTGOING_NETWORKS = []
    return settings


def test_a_public_installation_can_be_in_order(public):
    assert levels(check_settings()) == ["ok"]


def test_a_public_installation_on_sqlite_is_warned(public, monkeypatch):
    monkeypatch.setitem(public.DATABASES["default"], "ENGINE", "django.db.backends.sqlite3")
    (finding,) = check_settings()
    assert (finding.level, finding.remedy) == ("warning", "Name a PostgreSQL database in BROKER_DATABASE_URL.")


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("REDIS_URL", "", "BROKER_REDIS_URL"),
        ("TRUSTED_PROXIES", 0, "BROKER_TRUSTED_PROXIES"),
        ("DEMONSTRATION", Path("page.json"), "demonstration"),
        ("OUTGOING_NETWORKS", ["10.0.0.0/8"], "BROKER_OUTGOING_NETWORKS"),
        ("METRICS_TOKEN", "short-token", "BROKER_METRICS_TOKEN"),
    ],
)
def test_a_public_installation_is_warned(public, name, value, word):
    setattr(public, name, value)
    (finding,) = check_settings()
    assert finding.level == "warning"
    assert word in finding.text + finding.remedy
    assert "short-token" not in finding.text + finding.remedy


def test_djangos_own_checks_are_among_the_findings(settings):
    settings.ROOT_URLCONF = f"{__name__}"
    settings.AUTH_PASSWORD_VALIDATORS = []
    settings.AUTHENTICATION_BACKENDS = ["broker.console.backends.OperatorBackend"]
    findings = check_settings()
    assert any("axes" in finding.text for finding in findings)


urlpatterns: list[object] = []


@pytest.fixture
def var(settings, tmp_path):
    settings.VAR = tmp_path / "var"
    settings.SEAL_LOG = settings.VAR / "seals.log"
    secrets = settings.VAR / "secrets"
    secrets.mkdir(parents=True)
    for path in (settings.VAR, secrets):
        path.chmod(0o700)
    for path in (secrets / "secret_key", secrets / "master_keys", settings.VAR / "countersign.sqlite3"):
        path.touch(mode=0o600)
    return settings.VAR


def test_closed_files_are_in_order_and_counted(var):
    (finding,) = check_permissions()
    assert finding.level == "ok"
    assert finding.text.startswith("5 files and folders")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_an_open_secret_is_a_fault_with_the_command_that_closes_it(var, mode):
    secret = var / "secrets" / "master_keys"
    secret.chmod(mode)
    (finding,) = check_permissions()
    assert finding.level == "fault"
    assert finding.remedy == f"Run: chmod 600 {secret}"


def test_an_open_folder_is_a_warning_with_what_lies_open_in_it(var):
    var.chmod(0o755)
    (var / "countersign.sqlite3").chmod(0o644)
    assert {finding.remedy for finding in check_permissions()} == {
        f"Run: chmod 700 {var}",
        f"Run: chmod 600 {var / 'countersign.sqlite3'}",
    }


def test_an_open_file_in_a_closed_folder_is_closed(var):
    (var / "countersign.sqlite3").chmod(0o644)
    assert levels(check_permissions()) == ["ok"]


def test_a_seal_log_elsewhere_is_looked_at(var, settings, tmp_path):
    settings.SEAL_LOG = tmp_path / "seals.log"
    settings.SEAL_LOG.touch(mode=0o600)
    settings.SEAL_LOG.chmod(0o666)
    (finding,) = check_permissions()
    assert str(settings.SEAL_LOG) in finding.text


def test_no_var_folder_is_said(settings, tmp_path):
    settings.VAR = tmp_path / "nowhere"
    (finding,) = check_permissions()
    assert "no var folder" in finding.text
