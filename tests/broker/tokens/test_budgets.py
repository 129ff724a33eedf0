"""Budgets at the endpoints where clients authenticate, and refusals in floods."""

from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine as machine
from django.test import Client as Http
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.events.models import Event
from broker.registry import secrets
from broker.registry.secrets import import_secret
from broker.throttling import throttle
from broker.traces import bounded
from broker.traces.models import Trace
from tests.broker.tokens.desk import FORM, basic, lay_out_keys, post_form
from tests.factories import CLIENT_SECRET, make_flow, make_resource, make_service

pytestmark = pytest.mark.django_db
WRONG = "another-secret-0123456789abcdefghij"


@pytest.fixture
def service(db: None) -> Any:
    lay_out_keys()
    client = make_service()
    make_flow(client, make_resource())
    return client


@pytest.fixture
def _small_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has a small share: 2 of the token endpoint's permits, and 1 of the refusals that are written."""
    monkeypatch.setattr(throttle, "_share", lambda: limits.TOKEN_REQUESTS // 2)


@pytest.fixture(autouse=True)
def _alone_in_one_window(monkeypatch: pytest.MonkeyPatch) -> Any:
    """No shared store, also where the suite has one, and no window that ends in the middle."""
    monkeypatch.setattr(throttle, "_lease", None)
    with machine.travel(timezone.now(), tick=False):
        yield


def ask(client: Any, secret: str = CLIENT_SECRET) -> Any:
    fields = {"grant_type": "client_credentials"}
    return post_form("/oauth/token", fields, authorization=basic(client.client_id, secret))


def test_each_answer_says_what_is_left(service):
    share = limits.TOKEN_REQUESTS // 4
    first, second = ask(service), ask(service)
    assert first["RateLimit-Policy"] == f'"token";q={limits.TOKEN_REQUESTS};w=10'
    assert first["RateLimit"].startswith(f'"token";r={share - 1};t=')
    assert second["RateLimit"].startswith(f'"token";r={share - 2};t=')


@pytest.mark.usefixtures("_small_share")
def test_above_its_budget_a_client_gets_nothing_and_is_told_when_to_come_back(service):
    assert [ask(service).status_code for _ in range(3)] == [200, 200, 429]
    response = ask(service)
    assert response.json()["code"] == "request.too_many"
    assert 1 <= int(response["Retry-After"]) <= 10
    assert response["RateLimit"].startswith('"token";r=0;t=')
    assert Event.objects.filter(type="token.issued").count() == 2


@pytest.mark.usefixtures("_small_share")
def test_one_client_s_flood_is_not_another_s(service):
    for _ in range(5):
        ask(service)
    other = make_service()
    make_flow(other, make_resource())
    assert ask(other).status_code == 200


@pytest.mark.usefixtures("_small_share")
def test_who_has_not_proved_to_be_the_client_spends_nothing_of_it(service):
    for _ in range(5):
        assert ask(service, WRONG).status_code == 401
    assert ask(service).status_code == 200


@pytest.mark.usefixtures("_small_share")
def test_a_flood_of_refusals_is_answered_counted_and_told_of_and_fills_no_table(service):
    answers = [ask(service, WRONG) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {401}
    assert {frozenset(answer.json()) for answer in answers} == {
        frozenset({"error", "error_description", "code", "trace_id"})
    }
    assert Event.objects.filter(type="token.refused").count() == 1
    assert Trace.objects.count() == 1
    assert Event.objects.get(type="refusals.counted").details == {"refusals": 1, "codes": {"oauth.invalid_client": 1}}


def test_what_was_counted_is_told_once_a_minute(db):
    clock = iter([0.0, 1.0, 30.0, 61.0, 62.0])
    counted = bounded.CountedRefusals(clock=lambda: next(clock))
    for code in ("a.a", "a.a", "b.b", "a.a", "a.a"):
        counted.add(code)
    told = Event.objects.filter(type="refusals.counted").order_by("id")
    assert [event.details for event in told] == [
        {"refusals": 1, "codes": {"a.a": 1}},
        {"refusals": 3, "codes": {"a.a": 2, "b.b": 1}},
    ]


# --- Guessing at secrets that take long to compare

IMPORTED = "a-secret-that-was-taken-over-0123456789"


@pytest.fixture
def argon2_checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was compared with an imported secret."""
    seen: list[str] = []
    verify = secrets._ARGON2.verify
    monkeypatch.setattr(secrets._ARGON2, "verify", lambda value, hashed: seen.append(value) or verify(value, hashed))
    return seen


def guess(client: Any, times: int) -> list[int]:
    return [ask(client, WRONG).status_code for _ in range(times)]


def test_guessing_at_a_taken_over_secret_is_answered_without_its_work_above_the_budget(service, argon2_checks):
    import_secret(service, IMPORTED, actor=SYSTEM)
    argon2_checks.clear()
    share = limits.FAILED_AUTHENTICATIONS // 4
    assert guess(service, share + 20) == [401] * share + [429] * 20
    assert len(argon2_checks) == share
    response = ask(service, WRONG)
    assert response.json()["code"] == "request.too_many"
    assert 1 <= int(response["Retry-After"]) <= 10


def test_the_right_secret_is_taken_meanwhile_when_it_is_quickly_compared(service):
    import_secret(service, IMPORTED, actor=SYSTEM)
    assert ask(service, IMPORTED).status_code == 200
    guess(service, limits.FAILED_AUTHENTICATIONS)
    assert ask(service).status_code == 200, "one of ours"
    assert ask(service, IMPORTED).status_code == 200, "one that was proved before"


def test_guesses_from_elsewhere_and_at_another_client_are_no_ones_else(service):
    import_secret(service, IMPORTED, actor=SYSTEM)
    other = make_service()
    make_flow(other, make_resource())
    import_secret(other, IMPORTED, actor=SYSTEM)
    guess(service, limits.FAILED_AUTHENTICATIONS)
    assert ask(other, IMPORTED).status_code == 200
    fields = {"grant_type": "client_credentials"}
    headers = {"Authorization": basic(service.client_id, IMPORTED)}
    http = Http(REMOTE_ADDR="203.0.113.9")
    elsewhere = http.post("/oauth/token", urlencode(fields), content_type=FORM, headers=headers)
    assert elsewhere.status_code == 200


def test_secrets_of_ours_are_quickly_compared_and_need_no_budget(service):
    assert set(guess(service, 3 * limits.FAILED_AUTHENTICATIONS)) == {401}
