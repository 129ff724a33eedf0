"""What a warm request costs the database: counted, since the time it takes depends on the machine."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("still_memories")]


def statements(run):
    """The statements that `run` costs, without the savepoints of the suite's own transaction."""
    with CaptureQueriesContext(connection) as captured:
        response = run()
    assert response.status_code == 200, response.content
    verbs = [query["sql"].split(" ", 1)[0] for query in captured.captured_queries]
    return [verb for verb in verbs if verb not in {"SAVEPOINT", "RELEASE"}]


def test_a_service_s_token_costs_one_write_and_no_read(gate):
    gate.ask(resource=gate.resource.identifier)
    gate.service_token()
    assert statements(gate.ask) == ["INSERT"]
    assert statements(lambda: gate.ask(resource=gate.resource.identifier, scope="invoices.read")) == ["INSERT"]


def test_introspection_costs_one_read(gate):
    token = gate.service_token()
    gate.introspect(token)
    assert statements(lambda: gate.introspect(token)) == ["SELECT"]


def test_userinfo_costs_one_read_for_the_token(gate):
    token = gate.desk.tokens(scopes=("openid",))["access_token"]
    gate.desk.userinfo(token)
    assert statements(lambda: gate.desk.userinfo(token)) == ["SELECT"]


def test_a_refresh_claims_one_row_and_writes_the_next_the_event_and_the_hop(gate):
    token = gate.desk.offline_tokens()["refresh_token"]
    token = gate.desk.refresh(token).json()["refresh_token"]
    costs = statements(lambda: gate.desk.refresh(token))
    assert costs.count("UPDATE") == 1
    assert costs.count("INSERT") == 4
    assert len(costs) <= 7


def test_a_revocation_costs_a_handful_and_a_second_one_only_the_look(gate):
    first, second = gate.service_token(), gate.service_token()
    gate.revoke(first)
    assert len(statements(lambda: gate.revoke(second))) <= 6
    assert statements(lambda: gate.revoke(second)) == ["SELECT", "SELECT"]
    assert statements(lambda: gate.revoke("x")) == ["SELECT"]
    assert statements(lambda: gate.revoke("a.b.c")) == []
