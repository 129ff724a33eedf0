"""Many carriers, readers and sweepers at one moment: every row is attempted once, in order, and settled once."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from broker.actors import SYSTEM
from broker.delivery import carrying
from broker.delivery.carrying import carry
from broker.delivery.claiming import _claimable, claim
from broker.delivery.enqueueing import NewDelivery, enqueue
from broker.delivery.handlers import LeaseLost, Settle
from broker.delivery.lanes import Circuit, Turn, take_turn
from broker.delivery.models import Attempt, Delivery, Lane, Priority
from broker.delivery.outcomes import confirmed
from broker.delivery.services import retry, write_off
from broker.delivery.settling import Settling
from broker.delivery.sweeping import due_lanes, sweep
from broker.errors import BrokerError
from broker.events.catalogue import PERSON_CHANGED
from broker.events.models import Event, Notice
from broker.events.reading import read_notices
from broker.events.services import record
from broker.leases import new_lease
from tests.broker.delivery.handlers import DIGEST, HANDLER
from tests.broker.events.readers import FIRST

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
AtOnce = Callable[[list[Callable[[], Any]]], list[Any]]
MANY = 8
LANE = "target:crm"


@pytest.fixture(autouse=True)
def _kinds(settings: Any) -> Iterator[None]:
    settings.DELIVERY_HANDLERS = {"letter": "tests.broker.delivery.handlers.HANDLER"}
    settings.EVENT_READERS = {"person.changed": ["tests.broker.events.readers.FIRST"]}
    HANDLER.reset()
    FIRST.reset()
    carrying.places.forget()
    yield
    HANDLER.reset()
    FIRST.reset()


def put(*subjects: str, lane: str = LANE, **fields: Any) -> list[Delivery]:
    return enqueue("letter", [NewDelivery(lane, subject, **fields) for subject in subjects], actor=SYSTEM)


def test_one_lane_is_carried_by_one_of_many_and_each_row_once(at_once: AtOnce) -> None:
    rows = put(*(f"person:{number}" for number in range(300)))

    assert sorted(at_once([lambda: carry(LANE)] * MANY))[-1] == 300

    assert Counter(pk for batch in HANDLER.seen for pk in batch) == Counter(row.pk for row in rows)
    assert Attempt.objects.filter(outcome="confirmed").count() == 300
    assert set(Delivery.objects.values_list("state", flat=True)) == {"confirmed"}


def test_two_who_enqueue_for_new_lanes_in_other_orders_do_not_wait_for_each_other_for_ever(at_once: AtOnce) -> None:
    """Each would hold the lane that the other makes next, and PostgreSQL would end one of them."""
    begun = {"client:a": threading.Event(), "client:b": threading.Event()}

    def enqueue_twice(first: str, second: str) -> None:
        with transaction.atomic():
            put("session:1", lane=first)
            begun[first].set()
            begun[second].wait(timeout=2)  # or the other waits for us already
            put("session:1", lane=second)

    ended = at_once([lambda: enqueue_twice("client:a", "client:b"), lambda: enqueue_twice("client:b", "client:a")])

    assert ended == [None, None]
    assert sorted(Lane.objects.values_list("name", flat=True)) == ["client:a", "client:b"]
    assert Delivery.objects.exclude(state="superseded").count() == 2


def test_where_lanes_are_there_nobody_waits_to_enqueue(at_once: AtOnce) -> None:
    put("session:0", lane="client:a")
    makes, is_done = threading.Event(), threading.Event()

    def make_a_lane_and_wait() -> bool:
        with transaction.atomic():
            put("session:1", lane="client:new")
            makes.set()
            return is_done.wait(timeout=10)

    def enqueue_meanwhile() -> None:
        makes.wait(timeout=10)
        put("session:2", lane="client:a")
        is_done.set()

    assert at_once([make_a_lane_and_wait, enqueue_meanwhile]) == [True, None]


def test_carriers_whose_lane_was_taken_over_claim_nothing_twice(at_once: AtOnce) -> None:
    """Two turns in one lane cannot be; if they were, the rows would still be one carrier's each."""
    put(*(f"person:{number}" for number in range(MANY)))
    HANDLER.batch = 1
    lease = new_lease()
    Lane.objects.update(lease=lease, lease_until=timezone.now() + timedelta(minutes=1))
    turn = Turn(LANE, lease, False, Circuit("open", 0, 0))

    batches = at_once([lambda: claim(turn)] * MANY)

    claimed = [row.pk for batch in batches for row in batch.rows]
    assert sorted(claimed) == sorted(Delivery.objects.values_list("pk", flat=True))


def test_of_one_subject_never_two_are_under_way(at_once: AtOnce) -> None:
    """Enqueued and carried at once by many: what a receiver sees of one person is one after the other, newest last."""
    under_way: Counter[str] = Counter()
    most: list[int] = []
    order: dict[str, list[int]] = {}
    lock = threading.Lock()

    def act(_lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        for row in batch:
            with lock:
                under_way[row.subject] += 1
                most.append(under_way[row.subject])
                order.setdefault(row.subject, []).append(row.pk)
        with lock:
            for row in batch:
                under_way[row.subject] -= 1
        settle([(row, confirmed(DIGEST)) for row in batch])

    def enqueue_often() -> None:
        for _ in range(10):
            put("person:1", "person:2", priority=Priority.URGENT)

    def carry_often() -> None:
        for _ in range(20):
            carry(LANE)

    HANDLER.script = act
    put("person:1")
    errors = [one for one in at_once([enqueue_often] * 3 + [carry_often] * 4) if one is not None]
    carry(LANE)

    assert errors == []
    assert max(most) == 1
    assert all(keys == sorted(keys) for keys in order.values())
    assert set(Delivery.objects.values_list("state", flat=True)) == {"confirmed", "superseded"}
    assert not Delivery.objects.filter(state="superseded", superseded_by=None).exists()


def test_a_row_that_is_enqueued_in_a_long_transaction_holds_up_no_carrier(at_once: AtOnce) -> None:
    put("person:1", "person:2")
    is_locked, may_end = threading.Event(), threading.Event()

    def change() -> None:
        with transaction.atomic():
            put("person:1")
            is_locked.set()
            assert may_end.wait(20)

    def carry_beside() -> int:
        assert is_locked.wait(20)
        try:
            return carry(LANE)
        finally:
            may_end.set()

    assert at_once([change, carry_beside])[1] == 1
    assert Delivery.objects.get(subject="person:2").state == "confirmed"
    assert carry(LANE) == 1
    assert list(Delivery.objects.filter(subject="person:1").order_by("pk").values_list("state", flat=True)) == [
        "superseded",
        "confirmed",
    ]


def test_many_sweeps_find_one_lost_attempt(at_once: AtOnce) -> None:
    put(*(f"person:{number}" for number in range(20)))
    turn = take_turn(LANE)
    assert turn
    assert claim(turn)
    dead = new_lease().rpartition("/")[0] + "/1"
    Delivery.objects.update(lease=dead)
    Lane.objects.update(lease=dead)

    answers = at_once([sweep] * MANY)

    assert [one for one in answers if isinstance(one, Exception)] == []
    assert Attempt.objects.filter(outcome="lost").count() == 20
    assert set(Delivery.objects.values_list("state", "attempts")) == {("retrying", 1)}


def test_a_settlement_and_a_sweep_at_one_moment_decide_once(at_once: AtOnce) -> None:
    for _ in range(5):
        put("person:1")
        turn = take_turn(LANE)
        assert turn
        batch = claim(turn)
        assert batch
        Delivery.objects.filter(lease=batch.lease).update(lease_until=timezone.now() - timedelta(seconds=1))
        settle = Settling(turn, batch)

        def confirm(settle: Settling = settle, rows: Sequence[Delivery] = batch.rows) -> None:
            settle([(row, confirmed(DIGEST)) for row in rows])

        answers = at_once([confirm, sweep, sweep])

        assert [one for one in answers if isinstance(one, Exception) and not isinstance(one, LeaseLost)] == []
        row = Delivery.objects.get(pk=batch.rows[0].pk)
        was_lost = isinstance(answers[0], LeaseLost)
        assert row.state == ("retrying" if was_lost else "confirmed")
        assert Attempt.objects.get(delivery=row).outcome == ("lost" if was_lost else "confirmed")
        Delivery.objects.all().delete()
        Lane.objects.update(lease="", lease_until=None)


def test_many_operators_decide_about_one_dead_letter_once(at_once: AtOnce) -> None:
    [row] = put("person:1")
    Delivery.objects.update(state="dead", settled_at=timezone.now())

    answers = at_once([lambda: write_off(row, reason="gone", actor=SYSTEM)] * MANY)

    refused = [one for one in answers if isinstance(one, BrokerError)]
    assert (len(refused), {one.code for one in refused}) == (MANY - 1, {"delivery.settled"})
    with pytest.raises(BrokerError):
        retry(row, actor=SYSTEM)


def test_many_who_enqueue_for_a_new_lane_make_it_once(at_once: AtOnce) -> None:
    numbers = iter(range(MANY))
    answers = at_once([lambda: put(f"person:{next(numbers)}")] * MANY)
    assert [one for one in answers if isinstance(one, Exception)] == []
    assert (Lane.objects.count(), Delivery.objects.count()) == (1, MANY)
    assert due_lanes(timezone.now()) == [LANE]


def test_many_readers_of_one_name_read_each_event_once_and_in_order(at_once: AtOnce) -> None:
    def change() -> None:
        for _ in range(20):
            record(PERSON_CHANGED, actor=SYSTEM)

    answers = at_once([change] * 3 + [read_notices] * 4)
    read_notices()

    assert [one for one in answers if isinstance(one, Exception)] == []
    read = [pk for reading in FIRST.readings for pk in reading]
    assert Counter(read) == Counter(Event.objects.filter(type="person.changed").values_list("pk", flat=True))
    assert all(reading == sorted(reading) for reading in FIRST.readings)
    assert not Notice.objects.exists()


def test_the_claim_is_planned_over_its_index() -> None:
    put(*(f"person:{number}" for number in range(3_000)))
    Delivery.objects.update(state="confirmed", settled_at=timezone.now())
    put(*(f"person:{number}" for number in range(3_000)))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE delivery_delivery")
    plan = _claimable(LANE)[:50].explain()
    assert "delivery_claimable" in plan
    assert "Seq Scan on delivery_delivery" not in plan


def test_a_claim_looks_at_each_waiting_row_once_although_nothing_is_known_of_the_table_yet() -> None:
    """Right after a sync was enqueued PostgreSQL has no statistics: it takes the lane to be as good as empty."""
    rows = put(*(f"person:{number}" for number in range(2_000)))
    with transaction.atomic():
        plan = _claimable(LANE).select_for_update(skip_locked=True, of=("self",))[:500]
        told = json.loads(plan.explain(analyze=True, buffers=True, format="json"))[0]
    assert told["Plan"]["Actual Rows"] == 500
    assert told["Plan"]["Shared Hit Blocks"] + told["Plan"]["Shared Read Blocks"] < 10 * len(rows), told
