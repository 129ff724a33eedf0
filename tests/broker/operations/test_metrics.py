"""Metrics: logins and refusals by connection and code, and gauges that tell the truth at each scrape."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from broker import limits
from broker.actors import SYSTEM
from broker.events.catalogue import LOGIN_REFUSED, LOGIN_SUCCEEDED
from broker.events.services import record
from broker.sessions.models import Session
from tests.factories import make_identity_provider, make_session

pytestmark = pytest.mark.django_db


def scrape(client) -> dict[tuple, float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def counter(event: str, connection: str, code: str = "") -> tuple:
    return ("countersign_events_total", ("code", code), ("connection", connection), ("event", event))


def test_logins_and_refusals_are_counted_by_connection_and_code(client, django_capture_on_commit_callbacks):
    before = scrape(client)
    with django_capture_on_commit_callbacks(execute=True):
        record(LOGIN_SUCCEEDED, actor=SYSTEM, connection="acme")
        record(LOGIN_REFUSED, actor=SYSTEM, connection="acme", code="saml.expired")
        record(LOGIN_REFUSED, actor=SYSTEM, connection="acme", code="saml.expired")
    after = scrape(client)
    for key, count in ((counter("login.succeeded", "acme"), 1), (counter("login.refused", "acme", "saml.expired"), 2)):
        assert after[key] - before.get(key, 0) == count


def test_an_event_that_was_rolled_back_is_not_counted(client, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=False):
        record(LOGIN_REFUSED, actor=SYSTEM, connection="rolled-back", code="saml.expired")
    assert counter("login.refused", "rolled-back", "saml.expired") not in scrape(client)


def test_live_sessions_are_those_that_would_still_be_accepted(client):
    now = timezone.now()
    for handle in ("a", "b", "c", "d"):
        make_session(handle=handle)
    _live, ended, expired, idle = Session.objects.order_by("started_at", "pk")
    Session.objects.filter(pk=ended.pk).update(ended_at=now)
    Session.objects.filter(pk=expired.pk).update(expires_at=now - timedelta(seconds=1))
    Session.objects.filter(pk=idle.pk).update(last_used_at=now - limits.SESSION_IDLE - timedelta(seconds=1))
    page = scrape(client)
    assert page[("countersign_sessions_live",)] == 1
    assert page[("countersign_database_up",)] == 1


def test_days_left_count_to_the_last_certificate_of_an_identity_provider(client):
    ends = [timezone.now() + timedelta(days=days, hours=1) for days in (-5, 30)]
    make_identity_provider(
        slug="acme", certificates=[{"fingerprint": "x", "not_after": moment.isoformat()} for moment in ends]
    )
    key = ("countersign_expiry_days_left", ("kind", "identity provider's certificate"), ("owner", "acme"))
    assert scrape(client)[key] == 30


def test_the_unsealed_tail_is_shown(client):
    before = scrape(client)[("countersign_unsealed_events",)]
    record(LOGIN_SUCCEEDED, actor=SYSTEM)
    after = scrape(client)
    assert after[("countersign_unsealed_events",)] == before + 1
    assert after[("countersign_unsealed_age_seconds",)] >= 0


def test_a_scrape_costs_few_queries_however_many_parties_there_are(client, django_assert_max_num_queries):
    for number in range(20):
        make_identity_provider(slug=f"idp-{number}")
    with django_assert_max_num_queries(22):
        client.get("/metrics")


def test_a_lost_database_still_leaves_the_counters(client, monkeypatch):
    def lose(*_arguments, **_options):
        raise OperationalError

    monkeypatch.setattr(connection, "cursor", lose)
    page = scrape(client)
    assert page[("countersign_database_up",)] == 0
    assert ("countersign_sessions_live",) not in page
    assert any(name.startswith("process_") for name, *_ in page)


COUNT = """
import django
django.setup()
from broker.events.services import COUNTED
COUNTED.labels("e", "acme", "").inc()
"""
SHOW = """
from broker.operations import metrics
metrics.read_gauges = lambda: []  # this process has no database
print(metrics.write_metrics().decode())
"""


def test_counters_of_several_processes_are_summed(tmp_path):
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "tests.settings"}

    def run(program: str) -> str:
        command = [sys.executable, "-c", program]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    run(COUNT)
    run(COUNT)
    assert 'countersign_events_total{code="",connection="acme",event="e"} 3.0' in run(COUNT + SHOW)
