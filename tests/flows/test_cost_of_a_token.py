"""A service's token, a question about it and a decision parse no PEM, fork nothing and write no temporary file."""

from collections.abc import Callable

import pytest

from tests.broker.access.gateway import action, entity, make_gateway
from tests.broker.tokens.gate import Gate
from tests.flows.test_cost_of_a_login import count_parsed_pem, watching

pytestmark = pytest.mark.django_db
POLICY = 'permit (principal, action == Action::"read", resource is record) when { resource.level > 1 };'


def asking_for_a_token() -> Callable[[], object]:
    gate = Gate()
    return lambda: gate.ask(resource=gate.resource.identifier)


def introspecting() -> Callable[[], object]:
    gate = Gate()
    token = gate.service_token()
    return lambda: gate.introspect(token)


def asking_for_a_decision() -> Callable[[], object]:
    gateway = make_gateway(policy=POLICY)
    question = {"subject": entity("user", "alice"), "resource": entity("record", "r1", level=2)}
    return lambda: gateway.evaluate(action=action("read"), **question)


@pytest.mark.parametrize("prepared", [asking_for_a_token, introspecting, asking_for_a_decision])
def test_a_warm_request_parses_no_pem_forks_nothing_and_writes_no_file(prepared, monkeypatch):
    ask = prepared()
    assert ask().status_code == 200
    parsed = count_parsed_pem(monkeypatch)
    with watching() as seen:
        answer = ask()
    assert answer.status_code == 200
    assert seen == []
    assert parsed == []
