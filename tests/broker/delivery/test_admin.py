"""The operators' queue through a browser: what has not arrived, why, and what they decide about it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from broker.console.models import Operator
from broker.delivery.carrying import carry
from broker.delivery.models import Delivery, Lane
from broker.delivery.outcomes import Stop, failed, retry
from tests.broker.delivery.handlers import answering
from tests.broker.delivery.handlers import script as let_it
from tests.broker.delivery.ledger import LANE, events, lane, put, put_one, states

pytestmark = pytest.mark.django_db

QUEUE = "/admin/delivery/delivery/"
LANES = "/admin/delivery/lane/"
MakeOperator = Callable[..., Operator]


def page(row: Delivery) -> str:
    return f"{QUEUE}{row.pk}/change/"


def lane_page() -> str:
    return f"{LANES}{lane().pk}/change/"


def read(browser: Browser, address: str) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def post(browser: Browser, address: str, **form: Any) -> str:
    return browser.post(address, form, follow=True).content.decode()


def listed(browser: Browser, query: str = "") -> list[int]:
    return sorted(row.pk for row in browser.get(f"{QUEUE}{query}").context["cl"].result_list)


@pytest.fixture
def dead(db: None) -> Delivery:
    row = put_one(title="Ada Lovelace <b>")
    let_it(answering(failed("scim.refused", "no such attribute", status=400)))
    carry(LANE)
    return row


def test_an_empty_queue_does_not_claim_that_all_is_well(console: Browser) -> None:
    text = read(console, QUEUE)
    assert "Nothing was to be delivered" in text
    assert "Everything arrived" not in text


def test_the_banner_counts_what_was_expected_and_what_became_of_it(console: Browser, dead: Delivery) -> None:
    put("person:2", hold="breaker:1")
    text = " ".join(read(console, QUEUE).split())
    assert "Something has not arrived" in text
    for part in ("<b>2</b> expected", "<b>0</b> confirmed", "<b>1</b> waiting, <b>1</b> of them held back"):
        assert part in text
    assert '<b class="cs-bad">1</b> dead' in text


def test_what_arrived_is_green_and_not_in_the_way(console: Browser) -> None:
    put()
    carry(LANE)
    assert "Everything arrived" in read(console, QUEUE)
    assert (listed(console), len(listed(console, "?queue=all"))) == ([], 1)


def test_the_queue_is_filtered_by_what_needs_to_be_seen_to(console: Browser, dead: Delivery) -> None:
    held = put_one("person:2", hold="breaker:1")
    late = put_one("person:3", kind="parcel", must_arrive=True)
    Delivery.objects.filter(pk=late.pk).update(created_at=timezone.now() - timedelta(hours=1))
    assert listed(console) == [dead.pk, held.pk, late.pk]
    assert listed(console, "?queue=dead") == [dead.pk]
    assert listed(console, "?queue=held") == [held.pk]
    assert listed(console, "?queue=late") == [late.pk]
    assert listed(console, "?kind=parcel") == [late.pk]
    assert listed(console, "?state__exact=dead") == [dead.pk]
    assert listed(console, f"?q={LANE}") == [dead.pk, held.pk, late.pk]


def test_a_delivery_shows_its_attempts_and_escapes_what_came_from_outside(console: Browser, dead: Delivery) -> None:
    text = read(console, page(dead))
    for part in ("Ada Lovelace &lt;b&gt;", "scim.refused: no such attribute", "HTTP 400", "Retry now"):
        assert part in text


def test_a_delivery_that_nobody_knows_is_not_found(console: Browser) -> None:
    assert console.get(f"{QUEUE}999/change/").status_code == 404
    assert console.get(f"{QUEUE}x/change/").status_code == 404


def test_a_viewer_sees_the_queue_and_decides_nothing(viewer_console: Browser, dead: Delivery) -> None:
    assert "Retry now" not in read(viewer_console, page(dead))
    assert viewer_console.post(page(dead), {"decision": "retry"}).status_code == 403
    assert viewer_console.post(lane_page(), {"decision": "pause", "reason": "x"}).status_code == 403
    viewer_console.post(QUEUE, {"action": "retry_selected", "_selected_action": [dead.pk]})
    assert states() == ["dead"]


def test_nothing_is_added_or_deleted_by_hand(console: Browser, dead: Delivery) -> None:
    assert console.get(f"{QUEUE}add/").status_code == 403
    assert console.post(f"{QUEUE}{dead.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_dead_letter_is_retried(console: Browser, dead: Delivery) -> None:
    assert "It is sent again." in post(console, page(dead), decision="retry")
    assert states() == ["pending"]
    assert events("delivery.retried")[0].actor_id == "ada@acme.example"


@pytest.mark.parametrize("form", [{"decision": "write_off"}, {"decision": "write_off", "reason": " "}, {}])
def test_nothing_is_written_off_without_a_reason_or_a_decision(
    console: Browser,
    dead: Delivery,
    form: dict[str, str],
) -> None:
    post(console, page(dead), **form)
    assert (states(), events("delivery.written_off")) == (["dead"], [])


def test_a_dead_letter_is_written_off_with_its_reason(console: Browser, dead: Delivery) -> None:
    text = post(console, page(dead), decision="write_off", reason="The target is gone.")
    assert "It is written off." in text
    assert "The target is gone." in text
    assert states() == ["skipped"]


def test_many_are_retried_at_once_and_what_cannot_be_is_said(console: Browser, dead: Delivery) -> None:
    put("person:2", lane="target:erp")
    let_it(answering(retry("target.conflict")))
    Delivery.objects.filter(lane="target:erp").update(state="confirmed", settled_at=timezone.now())
    keys = list(Delivery.objects.values_list("pk", flat=True))
    text = post(console, f"{QUEUE}?queue=all", action="retry_selected", _selected_action=keys)
    assert "1 delivery is sent again." in text
    assert "It is decided what became of this delivery." in text
    assert sorted(states()) == ["confirmed", "pending"]


def test_many_are_written_off_only_after_the_reason_was_asked_for(console: Browser, dead: Delivery) -> None:
    form = {"action": "write_off_selected", "_selected_action": [dead.pk]}
    assert "Write off 1 delivery?" in post(console, QUEUE, **form)
    assert "No reason was given." in post(console, QUEUE, **form, decided="yes", reason="")
    assert states() == ["dead"]
    assert "1 delivery is written off." in post(console, QUEUE, **form, decided="yes", reason="gone")
    assert states() == ["skipped"]


def test_a_lane_says_why_it_stopped_and_is_resumed(console: Browser) -> None:
    put()
    let_it(answering(retry("target.refused", status=401, lane=Stop("the target answered 401"))))
    carry(LANE)
    assert "stopped, the receiver refuses us" in read(console, LANES)
    assert "the target answered 401" in read(console, QUEUE)
    assert "the target answered 401" in read(console, lane_page())
    assert "What waits here is sent." in post(console, lane_page(), decision="resume")
    assert Lane.objects.get().state == "open"


@pytest.mark.parametrize("form", [{"decision": "pause"}, {"decision": "pause", "reason": " "}, {"decision": "x"}])
def test_a_lane_is_not_paused_without_a_reason(console: Browser, form: dict[str, str]) -> None:
    put()
    post(console, lane_page(), **form)
    assert Lane.objects.get().state == "open"


def test_a_paused_lane_names_who_paused_it_and_why(console: Browser) -> None:
    put()
    text = post(console, lane_page(), decision="pause", reason="maintenance")
    assert "Nothing is sent here until it is resumed." in text
    assert "maintenance" in text
    assert "operator:ada@acme.example" in text


def test_a_lane_that_never_carried_anything_is_not_green(console: Browser) -> None:
    Lane.objects.create(name=LANE)
    assert "Nothing was ever to be delivered here" in read(console, lane_page())


def test_an_empty_queue_does_not_say_that_there_never_was_a_delivery(console: Browser) -> None:
    row = put_one()
    Delivery.objects.filter(pk=row.pk).update(state=Delivery.State.CONFIRMED, settled_at=timezone.now())
    text = console.get("/admin/delivery/delivery/").content.decode()
    assert "Nothing waits and nothing is dead." in text
    assert "There are no deliveries yet" not in text
