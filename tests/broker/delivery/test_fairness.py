"""A slow receiver holds up its own lane, and nobody else's."""

import threading
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest
from django.db import connection
from django.utils import timezone

from broker import limits
from broker.bell import bell
from broker.delivery import carrying, settling
from broker.delivery.carrying import carry
from broker.delivery.handlers import Settle
from broker.delivery.models import Delivery, Lane, Priority
from broker.delivery.outcomes import confirmed
from broker.delivery.places import Places
from broker.delivery.sweeping import due_lanes
from tests.broker.delivery.handlers import DIGEST, Scripted
from tests.broker.delivery.handlers import script as let_it
from tests.broker.delivery.ledger import put

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _all_places() -> Iterator[None]:
    carrying.places.forget()
    carrying.slow_places.forget()
    yield
    carrying.places.forget()
    carrying.slow_places.forget()


class Blocking:
    """A receiver that answers nobody in the lanes named slow until it is let go."""

    def __init__(self) -> None:
        self.go_on = threading.Semaphore(0)
        self.arrived = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self.is_awake = False
        self.threads: list[threading.Thread] = []

    def deliver(self, lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        if lane.startswith("slow") and not self.is_awake:
            self.arrived.release()
            assert self.go_on.acquire(timeout=30)
        settle([(row, confirmed(DIGEST)) for row in batch])

    def let_all_go(self) -> None:
        """One after the other: SQLite in memory has one writer."""
        self.is_awake = True
        for _ in self.threads:
            self.go_on.release()
            assert self.ended.acquire(timeout=30)
        for thread in self.threads:
            thread.join(timeout=30)
        self.threads.clear()


@pytest.fixture
def receiver(transactional_db: None) -> Iterator[Blocking]:
    blocking = Blocking()
    let_it(blocking.deliver)
    yield blocking
    blocking.let_all_go()


def start(receiver: Blocking, lane: str) -> None:
    """Carry a lane in a thread, and return once its receiver was reached."""

    def run() -> None:
        try:
            carry(lane)
        finally:
            connection.close()
            receiver.ended.release()

    thread = threading.Thread(target=run)
    receiver.threads.append(thread)
    thread.start()
    assert receiver.arrived.acquire(timeout=10)


def test_a_lane_whose_receiver_blocks_does_not_hold_up_another(receiver: Blocking) -> None:
    put(lane="slow:1")
    put(lane="fast")
    start(receiver, "slow:1")
    assert carry("fast") == 1
    assert Delivery.objects.get(lane="slow:1").state == "delivering"


def test_one_lane_has_one_carrier(receiver: Blocking) -> None:
    put("person:1", lane="slow:1")
    start(receiver, "slow:1")
    put("person:2", lane="slow:1")
    assert carry("slow:1") == 0


def test_slow_lanes_leave_places_for_the_others(receiver: Blocking) -> None:
    names = [f"slow:{number}" for number in range(limits.DELIVERY_SLOW_CARRIERS + 1)]
    for name in [*names, "fast"]:
        put(lane=name)
    Lane.objects.filter(name__in=names).update(is_slow=True)
    for name in names[:-1]:
        start(receiver, name)
    assert carry(names[-1]) == 0, "turned away without waiting"
    assert carry("fast") == 1


def test_who_was_turned_away_is_rung_when_a_place_is_free(
    receiver: Blocking, monkeypatch: pytest.MonkeyPatch, handler: Scripted
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(bell, "ring", lambda call: rung.extend(call[1]))
    names = [f"slow:{number}" for number in range(limits.DELIVERY_CARRIERS)]
    for name in [*names, "fast"]:
        put(lane=name)
    rung.clear()
    for name in names:
        start(receiver, name)
    assert carry("fast") == 0
    receiver.let_all_go()
    assert rung == ["fast"]
    assert carry("fast") == 1


def test_who_waited_longest_for_a_turn_is_rung_first(handler: Scripted) -> None:
    for name in ("b", "a", "c"):
        put("person:1", lane=name)
    carry("a")
    carry("b")
    put("person:2", lane="a")
    put("person:2", lane="b")
    assert due_lanes(timezone.now()) == ["c", "a", "b"]


def test_a_lane_is_slow_that_takes_longer_than_two_slices(monkeypatch: pytest.MonkeyPatch, handler: Scripted) -> None:
    times = iter([0.0, 0.0, 0.0, 99.0, 99.0, 99.0])
    monkeypatch.setattr(carrying, "time", SimpleNamespace(monotonic=lambda: next(times)))
    put(lane="target:x")
    carry("target:x")
    assert Lane.objects.get().is_slow


def test_a_turn_ends_with_its_slice_and_rings_for_the_rest(monkeypatch: pytest.MonkeyPatch, handler: Scripted) -> None:
    rung: list[tuple[str, tuple[str, ...]]] = []
    monkeypatch.setattr(bell, "ring", rung.append)
    handler.batch = 1
    put("person:1", "person:2", "person:3", lane="target:x")
    rung.clear()
    times = iter([0.0, 0.0, 0.0, 1.0, 1.0, limits.DELIVERY_SLICE.total_seconds(), 6.0])
    monkeypatch.setattr(carrying, "time", SimpleNamespace(monotonic=lambda: next(times)))
    assert carry("target:x") == 2
    assert rung == [("broker.delivery.tasks.carry", ("target:x",))]


def test_places_name_the_one_who_waits_longest_once() -> None:
    places = Places(1)
    assert [places.take(name) for name in ("a", "b", "c", "b")] == [True, False, False, False]
    assert [places.give_back(), places.give_back(), places.give_back()] == ["b", "c", None]


def test_a_batch_whose_time_is_up_goes_back_uncounted_so_that_what_is_urgent_need_not_wait(
    monkeypatch: pytest.MonkeyPatch, handler: Scripted
) -> None:
    clock = [0.0]
    timepiece = SimpleNamespace(monotonic=lambda: clock[0])
    monkeypatch.setattr(carrying, "time", timepiece)
    monkeypatch.setattr(settling, "time", timepiece)

    def act(_lane: str, batch: Sequence[Delivery], settle: Settle) -> None:
        for row in batch:
            if settle.is_over:
                return
            clock[0] += 2.0
            settle([(row, confirmed(DIGEST))])

    let_it(act)
    put(*(f"person:{number}" for number in range(10)), lane="target:x")
    assert carry("target:x") == 10
    assert sorted(Delivery.objects.values_list("state", "attempts")) == [("confirmed", 1)] * 3 + [("pending", 0)] * 7
    put("person:leaver", lane="target:x", priority=Priority.URGENT)
    carry("target:x")
    assert Delivery.objects.get(subject="person:leaver").state == "confirmed"
