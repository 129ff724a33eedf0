"""/api/v1 asked by many at one moment, on PostgreSQL: one effect under one key, and no change over another."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from broker.api.models import StoredAnswer
from broker.events.models import Event
from broker.registry.models import Client, ClientSecret
from tests.broker.api.calls import Caller, make_caller, refused
from tests.factories import make_service

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
AtOnce = Callable[[list[Callable[[], Any]]], list[Any]]
MANY = 20
NEW = {"client_id": "mirror", "owner": "mirror@acme.example"}


def again(api: Caller) -> Caller:
    """The same caller in a test client of its own, since one serves one thread."""
    return Caller(api.client, api.token)


def test_one_key_has_one_effect_and_everybody_its_answer(at_once: AtOnce) -> None:
    api = make_caller()
    answers = at_once([lambda: again(api).post("/clients", NEW, Idempotency_Key="k-1")] * MANY)
    assert [answer.status_code for answer in answers] == [201] * MANY
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert sum(answer.has_header("Idempotency-Replayed") for answer in answers) == MANY - 1
    assert Client.objects.filter(client_id="mirror").count() == 1
    assert Event.objects.filter(type="party.created", subject_id="mirror").count() == 1
    assert StoredAnswer.objects.count() == 1


def test_one_key_gives_one_secret_to_one_of_them(at_once: AtOnce) -> None:
    api = make_caller()
    make_service(client_id="mirror", secret=None)
    answers = at_once([lambda: again(api).post("/clients/mirror/secrets", Idempotency_Key="k-1")] * MANY)
    assert [answer.status_code for answer in answers] == [201] * MANY
    assert sum("client_secret" in answer.json() for answer in answers) == 1
    assert ClientSecret.objects.filter(client__client_id="mirror").count() == 1


def test_different_requests_under_one_key_have_one_effect(at_once: AtOnce) -> None:
    api = make_caller()

    def register(number: int) -> Any:
        return again(api).post("/clients", {**NEW, "client_id": f"mirror-{number}"}, Idempotency_Key="k-1")

    answers = at_once([lambda number=number: register(number) for number in range(MANY)])  # type: ignore[misc]  # a default argument
    codes = Counter(answer.status_code for answer in answers)
    assert codes == {201: 1, 422: MANY - 1}
    assert Client.objects.filter(client_id__startswith="mirror-").count() == 1


def test_without_a_key_the_name_is_taken_once(at_once: AtOnce) -> None:
    api = make_caller()
    answers = at_once([lambda: again(api).post("/clients", NEW)] * MANY)
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: MANY - 1}
    assert {refused(answer)[1] for answer in answers if answer.status_code == 409} == {"api.conflict"}


def test_of_many_changes_to_what_all_have_read_one_is_made(at_once: AtOnce) -> None:
    api = make_caller()
    make_service(client_id="mirror")
    tag = api.etag("/clients/mirror")

    def change(number: int) -> Any:
        return again(api).patch("/clients/mirror", {"owner": f"o{number}@acme.example"}, If_Match=tag)

    answers = at_once([lambda number=number: change(number) for number in range(MANY)])  # type: ignore[misc]  # a default argument
    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: MANY - 1}
    (changed,) = (answer.json()["owner"] for answer in answers if answer.status_code == 200)
    assert Client.objects.get(client_id="mirror").owner == changed
    assert Event.objects.filter(type="party.changed", subject_id="mirror").count() == 1


@pytest.mark.parametrize("name", ["%00", "a%00b"])
def test_a_name_that_the_database_cannot_hold_is_not_found(name: str) -> None:
    assert refused(make_caller().get(f"/clients/{name}")) == (404, "api.not_found")
