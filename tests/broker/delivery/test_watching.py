"""The doctor names what stands still in the ledger and what mends it; the scrape counts it."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.delivery.carrying import carry
from broker.delivery.doctor import check_deliveries
from broker.delivery.gauges import read_gauges
from broker.delivery.models import Lane
from broker.delivery.outcomes import Stop, failed, retry
from broker.delivery.services import pause_lane
from tests.broker.delivery.handlers import answering
from tests.broker.delivery.handlers import script as let_it
from tests.broker.delivery.ledger import ADA, LANE, put

pytestmark = pytest.mark.django_db


def found() -> list[tuple[str, str]]:
    return [(finding.name, finding.level) for finding in check_deliveries()]


def gauges() -> dict[tuple[str, ...], float]:
    return {
        (sample.name.removeprefix("countersign_"), *sample.labels.values()): sample.value
        for metric in read_gauges()
        for sample in metric.samples
    }


def test_a_ledger_in_which_nothing_was_to_do_says_so() -> None:
    [finding] = check_deliveries()
    assert (finding.level, "nothing was to be delivered" in finding.text) == ("ok", True)


def test_a_ledger_in_which_all_arrived_says_how_much() -> None:
    put("person:1", "person:2")
    carry(LANE)
    [finding] = check_deliveries()
    assert (finding.level, finding.text.startswith("2 confirmed")) == ("ok", True)


def test_a_stopped_lane_is_a_fault_and_a_paused_one_a_warning() -> None:
    put()
    pause_lane("target:erp", reason="maintenance", actor=ADA)
    assert found() == [("deliveries: lanes", "warning")]
    let_it(answering(retry("target.refused", status=401, lane=Stop("401"))))
    carry(LANE)
    assert found() == [("deliveries: lanes", "fault")]


def test_dead_letters_are_named_until_somebody_decides() -> None:
    put()
    let_it(answering(failed("scim.invalid")))
    carry(LANE)
    assert found() == [("deliveries: dead", "warning")]


def test_what_must_arrive_and_has_not_is_a_fault() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        put(must_arrive=True, hold="breaker:1")
        clock.shift(limits.DELIVERY_LATE)
        assert found() == [("deliveries: late", "fault")]


def test_a_worker_that_does_not_carry_is_a_fault_and_one_that_waits_is_none() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        put("person:1")
        put("person:2", lane="target:erp")
        clock.shift(limits.NOTICE_UNREAD_MAX + timedelta(seconds=1))
        Lane.objects.filter(name="target:erp").update(not_before=timezone.now() + timedelta(minutes=1))
        assert found() == [("deliveries: worker", "fault")]
        carry(LANE)
        assert found() == [("deliveries", "ok")]


def test_the_scrape_counts_what_waits_and_since_when() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        put("person:1", "person:2")
        carry(LANE)
        put("person:3", lane="target:erp", must_arrive=True)
        put("person:4", lane="target:erp", hold="breaker:1")
        pause_lane("target:erp", reason="maintenance", actor=ADA)
        clock.shift(limits.DELIVERY_LATE)
        shown = gauges()
    assert [shown["deliveries", state] for state in ("confirmed", "waiting", "held", "late", "dead")] == [2, 2, 1, 1, 0]
    assert (shown["lanes", "open"], shown["lanes", "paused"], shown["lanes", "stopped"]) == (1, 1, 0)
    assert shown[("delivery_wait_seconds",)] == limits.DELIVERY_LATE.total_seconds()
