"""Health: what strangers are told, what this machine is told, and what a broken check means."""

import pytest
from django.conf import settings as django_settings
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder

from broker.findings import Finding
from broker.operations.health import check_database, check_migrations, check_queue, check_throttle, is_ready, run_checks

pytestmark = pytest.mark.django_db
STRANGER = {"REMOTE_ADDR": "192.0.2.7"}
TOKEN = "the-suite's-metrics-token-0123456789abcdef"


def fault_check() -> list[Finding]:
    return [Finding("database", "fault", "the database host db.internal does not answer", "Start it.")]


def warning_check() -> list[Finding]:
    return [Finding("queue", "warning", "the queue cannot be reached")]


def raising_check() -> list[Finding]:
    raise RuntimeError("password=hunter2")


def silent_check() -> list[Finding]:
    return []


def named(check: object) -> str:
    return f"{__name__}.{check.__name__}"


@pytest.fixture
def healthy(settings):
    settings.HEALTH_CHECKS = ["broker.operations.health.check_database", "broker.operations.health.check_migrations"]
    return settings


def test_live_answers_without_looking_at_anything(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = client.get("/health/live", **STRANGER)
    assert (answer.status_code, answer.content) == (200, b"live\n")


def test_strangers_are_told_one_word(client, healthy):
    answer = client.get("/health/ready", **STRANGER)
    assert (answer.status_code, answer.content) == (200, b"ready\n")
    assert answer["Cache-Control"] == "no-store"


def test_strangers_are_not_told_what_is_wrong(client, settings):
    settings.HEALTH_CHECKS = [named(fault_check)]
    answer = client.get("/health/ready", **STRANGER)
    assert (answer.status_code, answer.content) == (503, b"not ready\n")


def test_this_machine_is_told_what_is_wrong_and_what_mends_it(client, settings):
    settings.HEALTH_CHECKS = [named(fault_check), named(warning_check)]
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["status"] == "not ready"
    assert [finding["level"] for finding in answer.json()["findings"]] == ["fault", "warning"]
    assert answer.json()["findings"][0]["remedy"] == "Start it."


def test_a_warning_does_not_take_us_out_of_service(client, settings):
    settings.HEALTH_CHECKS = [named(warning_check)]
    assert client.get("/health/ready").status_code == 200


def test_no_check_at_all_is_not_ready(client, settings):
    settings.HEALTH_CHECKS = []
    assert client.get("/health/ready").status_code == 503
    assert not is_ready([])


def test_a_check_that_raises_is_a_fault_that_tells_no_more_than_its_kind():
    (finding,) = run_checks([named(raising_check)])
    assert (finding.name, finding.level) == ("raising_check", "fault")
    assert "RuntimeError" in finding.text
    assert "hunter2" not in finding.text


def test_a_check_that_says_nothing_is_a_fault():
    assert [finding.level for finding in run_checks([named(silent_check)])] == ["fault"]


def test_a_check_that_does_not_exist_is_a_fault_and_the_others_still_run():
    findings = run_checks(["broker.nowhere.check_nothing", named(warning_check)])
    assert [(finding.name, finding.level) for finding in findings] == [("nothing", "fault"), ("queue", "warning")]


@pytest.mark.parametrize(
    "headers",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"REMOTE_ADDR": "::ffff:192.0.2.7"},
        {"REMOTE_ADDR": ""},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_X_FORWARDED_FOR": "192.0.2.7"},
        {"HTTP_X_FORWARDED_HOST": "sso.example"},
        {"HTTP_FORWARDED": "for=127.0.0.1"},
        {"HTTP_VIA": "1.1 proxy"},
        {"HTTP_HOST": "rebound.example"},
        {"REMOTE_ADDR": "192.0.2.7", "HTTP_AUTHORIZATION": "Bearer "},
        {"REMOTE_ADDR": "192.0.2.7", "HTTP_AUTHORIZATION": "Bearer wrong"},
        {"REMOTE_ADDR": "192.0.2.7", "HTTP_AUTHORIZATION": f"Basic {TOKEN}"},
        {"REMOTE_ADDR": "192.0.2.7", "HTTP_AUTHORIZATION": "Bearer t\xf6ken"},
    ],
)
@pytest.mark.parametrize("token", ["", TOKEN])
def test_no_stranger_sees_details_or_metrics(client, healthy, headers, token):
    healthy.METRICS_TOKEN = token
    assert client.get("/health/ready", **headers).content == b"ready\n"
    # A request for another host is refused before any page looks at it.
    assert client.get("/metrics", **headers).status_code == (400 if "HTTP_HOST" in headers else 404)


def test_behind_a_trusted_proxy_the_forwarded_address_counts(client, healthy):
    healthy.TRUSTED_PROXIES = 1
    assert client.get("/metrics", HTTP_X_FORWARDED_FOR="192.0.2.7").status_code == 404
    assert client.get("/metrics", HTTP_X_FORWARDED_FOR="127.0.0.1, 192.0.2.7").status_code == 404
    assert client.get("/metrics").status_code == 200


def test_the_metrics_token_opens_details_and_metrics_from_elsewhere(client, healthy):
    healthy.METRICS_TOKEN = TOKEN
    for header in (f"Bearer {TOKEN}", f"bearer {TOKEN}"):
        answer = client.get("/health/ready", HTTP_AUTHORIZATION=header, **STRANGER)
        assert answer.json()["status"] == "ready"
        assert client.get("/metrics", HTTP_AUTHORIZATION=header, **STRANGER).status_code == 200


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_monitoring_addresses_are_for_reading(client, path, method):
    assert getattr(client, method)(path).status_code == 405


def test_a_lost_database_is_a_fault(monkeypatch):
    def lose(*_arguments, **_options):
        raise DatabaseError("connection to db.internal failed")

    monkeypatch.setattr(connection, "cursor", lose)
    (finding,) = check_database()
    assert finding.level == "fault"
    assert "db.internal" not in finding.text


def test_a_missing_migration_is_a_fault_that_names_it():
    assert [finding.level for finding in check_migrations()] == ["ok"]
    MigrationRecorder(connection).record_unapplied("traces", "0001_initial")
    (finding,) = check_migrations()
    assert finding.level == "fault"
    assert "traces.0001_initial" in finding.text


def test_a_queue_that_cannot_be_reached_is_a_warning(settings):
    settings.REDIS_URL = settings.CELERY_BROKER_URL = "redis://:hunter2@127.0.0.1:1/0"
    (finding,) = check_queue()
    assert finding.level == "warning"
    assert "hunter2" not in finding.text + finding.remedy


def test_the_embedded_queue_can_be_reached(settings, tmp_path):
    settings.REDIS_URL = ""
    settings.CELERY_BROKER_URL = f"sqla+sqlite:///{tmp_path / 'queue.sqlite3'}"
    assert [finding.level for finding in check_queue()] == ["ok"]


def test_every_check_that_the_settings_name_exists():
    findings = run_checks(django_settings.DOCTOR_CHECKS)
    assert not [finding for finding in findings if "the check broke" in finding.text]


def test_each_process_counts_alone_where_there_is_no_redis(settings):
    settings.REDIS_URL = ""
    (finding,) = check_throttle()
    assert (finding.level, "its share" in finding.text) == ("ok", True)


def test_it_is_said_that_each_process_counts_alone_while_redis_is_away(settings):
    settings.REDIS_URL = "redis://:hunter2@127.0.0.1:1/0"
    (finding,) = check_throttle()
    assert finding.level == "warning"
    assert "counted by each process alone" in finding.text
    assert "hunter2" not in str(finding)
