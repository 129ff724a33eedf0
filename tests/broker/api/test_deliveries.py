"""/api/v1/deliveries: what did not arrive, and what a program decides of it."""

from typing import Any

import pytest
from django.utils import timezone

from broker.actors import SYSTEM
from broker.delivery.digests import row_digest
from broker.delivery.enqueueing import NewDelivery, enqueue
from broker.delivery.models import Attempt, Delivery
from broker.events.models import Event
from tests.broker.api.calls import make_caller, refused

pytestmark = pytest.mark.django_db
READ, WRITE = "deliveries.read", "deliveries.write"
LANE = "webhook:siem"


def put(subject: str = "event:1", **fields: Any) -> Delivery:
    (row,) = enqueue("webhook", [NewDelivery(LANE, subject, title="Ada Lovelace", payload={"a": 1})], actor=SYSTEM)
    Delivery.objects.filter(pk=row.pk).update(**fields)
    row.refresh_from_db()
    return row


@pytest.fixture
def dead(db: None) -> Delivery:
    now = timezone.now()
    row = put(state="dead", settled_at=now, reason="webhook.refused", status=410, attempts=1)
    Attempt.objects.create(
        delivery=row, number=1, began_at=now, ended_at=now, outcome="failed", code="webhook.refused", status=410
    )
    return row


def decide(api: Any, row: Delivery, **body: Any) -> Any:
    path = f"/deliveries/{row.pk}"
    return api.patch(path, body, If_Match=api.etag(path))


def test_a_delivery_is_shown_with_its_attempts_and_without_names_or_payload(dead: Delivery) -> None:
    shown = make_caller(READ).get(f"/deliveries/{dead.pk}")
    assert [(one["number"], one["outcome"], one["status"]) for one in shown.json()["history"]] == [(1, "failed", 410)]
    assert shown.json()["row_digest"] == row_digest(dead)
    assert b"Lovelace" not in shown.content
    assert "payload" not in shown.json()


def test_deliveries_are_listed_by_what_became_of_them(dead: Delivery) -> None:
    waiting = put("event:2")
    api = make_caller(READ)
    listed = {
        query: [one["id"] for one in api.get(f"/deliveries{query}").json()["items"]]
        for query in ("", "?state=dead", f"?lane={LANE}&state=pending", "?kind=scim", "?subject=event:2")
    }
    assert list(listed.values()) == [[waiting.pk, dead.pk], [dead.pk], [waiting.pk], [], [waiting.pk]]


@pytest.mark.parametrize("query", ["?title=Ada", "?state=%00", "?limit=0", "?state=dead&state=pending"])
def test_a_parameter_of_no_use_is_refused(query: str) -> None:
    assert refused(make_caller(READ).get(f"/deliveries{query}")) == (400, "api.invalid")


@pytest.mark.parametrize("scope", ["registry.read", "registry.write", WRITE])
def test_reading_needs_its_own_scope(scope: str, dead: Delivery) -> None:
    api = make_caller(scope)
    for path in ("/deliveries", f"/deliveries/{dead.pk}"):
        assert api.get(path).status_code == 403


def test_who_may_only_read_decides_nothing(dead: Delivery) -> None:
    assert decide(make_caller(READ), dead, decision="retry").status_code == 403
    dead.refresh_from_db()
    assert dead.state == "dead"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"decision": "forget"},
        {"decision": "write_off"},
        {"decision": "write_off", "reason": ""},
        {"decision": "retry", "reason": "x"},
        {"decision": "write_off", "reason": "x" * 501},
        {"decision": "retry", "state": "confirmed"},
    ],
)
def test_a_decision_that_says_too_little_or_too_much_is_refused(body: dict[str, str], dead: Delivery) -> None:
    assert refused(decide(make_caller(READ, WRITE), dead, **body)) == (400, "api.invalid")
    dead.refresh_from_db()
    assert dead.state == "dead"


@pytest.mark.parametrize("state", ["confirmed", "skipped", "superseded"])
def test_what_is_settled_takes_no_decision(state: str) -> None:
    row = put(state=state, settled_at=timezone.now())
    assert refused(decide(make_caller(READ, WRITE), row, decision="retry")) == (409, "delivery.settled")


def test_what_is_under_way_takes_no_decision() -> None:
    row = put(state="delivering", lease="x", lease_until=timezone.now())
    answer = decide(make_caller(READ, WRITE), row, decision="write_off", reason="gone")
    assert refused(answer) == (409, "delivery.under_way")


def test_a_decision_about_a_row_that_changed_meanwhile_is_refused(dead: Delivery) -> None:
    api = make_caller(READ, WRITE)
    path = f"/deliveries/{dead.pk}"
    seen = api.etag(path)
    Delivery.objects.filter(pk=dead.pk).update(detail="another")
    assert api.patch(path, {"decision": "retry"}, If_Match=seen).status_code == 412
    assert api.patch(path, {"decision": "retry"}).status_code == 428


def test_what_nobody_knows_is_not_found() -> None:
    assert make_caller(READ).get("/deliveries/999").status_code == 404


def test_a_dead_letter_is_retried_or_written_off_by_a_program_and_the_book_names_it(dead: Delivery) -> None:
    api = make_caller(READ, WRITE)
    assert decide(api, dead, decision="retry").json()["state"] == "pending"
    shown = decide(api, dead, decision="write_off", reason="The receiver is gone.").json()
    assert (shown["state"], shown["reason"], shown["detail"]) == (
        "skipped",
        "delivery.written_off",
        "The receiver is gone.",
    )
    told = Event.objects.filter(type__in=["delivery.retried", "delivery.written_off"]).order_by("pk")
    assert [(event.type, event.actor_kind, event.actor_id) for event in told] == [
        ("delivery.retried", "client", api.client.client_id),
        ("delivery.written_off", "client", api.client.client_id),
    ]
