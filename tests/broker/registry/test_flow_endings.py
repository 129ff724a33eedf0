"""Owners hear of a flow's end at 30, 14, 7 and 1 days before it, and when it came."""

from datetime import UTC, datetime, timedelta

import pytest

from broker.actors import SYSTEM
from broker.events.models import Event
from broker.registry.flow_endings import tell_endings
from broker.registry.models import Flow
from broker.registry.registering.flow_drafts import end_flow
from broker.registry.registering.flows import change_flow
from tests.factories import make_flow, make_resource, make_service

pytestmark = pytest.mark.django_db

END = datetime(2027, 1, 1, tzinfo=UTC)


def make() -> Flow:
    client = make_service(client_id="nightly")
    return make_flow(client, make_resource(identifier="https://erp.example/api"), expires=(END - timedelta(1)).date())


def tell(**before_end: float) -> int:
    return tell_endings(now=END - timedelta(**before_end), actor=SYSTEM)


def told() -> list[tuple[str, int]]:
    rows = Event.objects.filter(type__startswith="flow.").order_by("id")
    return [(row.type, row.details["days"]) for row in rows]


def test_each_threshold_is_told_once() -> None:
    make()

    for hour in range(31 * 24 + 2):
        tell(hours=31 * 24 - hour)

    assert told() == [
        ("flow.ending", 30),
        ("flow.ending", 14),
        ("flow.ending", 7),
        ("flow.ending", 1),
        ("flow.ended", 0),
    ]
    event = Event.objects.filter(type="flow.ending").last()
    assert event is not None
    assert (event.details["owner"], event.details["last_day"]) == ("integration@acme.example", "2026-12-31")
    assert event.details["flow"] == "nightly client_credentials https://erp.example/api"


def test_what_was_missed_is_told_with_the_next() -> None:
    make()

    assert tell(days=5) == 1
    assert tell(days=4) == 0
    assert told() == [("flow.ending", 7)]


def test_a_flow_that_ends_later_is_told_of_anew() -> None:
    flow = make()
    tell(days=5)
    later = END + timedelta(days=9)

    change_flow(flow, actor=SYSTEM, expires=later.date(), approved_by="security@acme.example")

    assert tell(days=4) == 1
    assert told() == [("flow.ending", 7), ("flow.ending", 14)]


@pytest.mark.parametrize("state", ["proposed", "refused"])
def test_nobody_is_told_of_what_is_not_in_force(state: str) -> None:
    make()
    Flow.objects.update(state=state)

    assert tell(days=1) == 0


def test_nobody_is_told_of_the_end_of_what_an_operator_ended() -> None:
    end_flow(make(), actor=SYSTEM, now=END - timedelta(days=20))

    assert tell(days=-1) == 0
