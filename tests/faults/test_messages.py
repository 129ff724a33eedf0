"""F8: messages that come three times and in any order. F28: two schedulers at once. F1: a queue that goes away."""

import json
import random
import threading
import time

import pytest
import redis
from django.db.models import Count

from broker.delivery.models import Attempt, Delivery
from broker.events.models import Event
from tests.factories import make_organisation
from tests.faults.floor import Floor
from tests.faults.targets import make_source

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
SLOWER = 2.0
"""Seconds that HR may wait for an answer while the queue is away: it is not asked at all."""


def test_messages_thrice_and_shuffled_to_three_workers(floor: Floor) -> None:
    places = [floor.open_target("crm", latency_ms=10), floor.open_target("erp")]
    calls = [
        ("broker.delivery.tasks.carry", ["target:crm"]),
        ("broker.delivery.tasks.carry", ["target:erp"]),
        ("broker.delivery.tasks.sweep", []),
        ("broker.events.tasks.read_notices", []),
    ] * 3
    chance = random.Random(8)
    people = floor.hire(60)
    workers = [floor.begin_worker() for _ in range(3)]
    for _ in range(25):
        chosen = chance.sample(people, 20)
        floor.tell(chosen, active=chance.random() < 0.5)
        chance.shuffle(calls)
        for task, arguments in calls:
            floor.send(task, *arguments)
        time.sleep(0.05)
    floor.begin_beat()
    floor.drain()
    assert len(workers) == 3
    assert all(place.effects() for place in places)
    floor.judge()


def test_two_schedulers_do_no_more_than_one(floor: Floor) -> None:
    place = floor.open_target("crm", latency_ms=10)
    for name in ("beat-1", "beat-2"):
        floor.begin_beat(name)
    for _ in range(2):
        floor.begin_worker()
    people = floor.hire(80)
    floor.tell(people[:40], active=False)
    floor.drain()
    floor.judge()
    assert Attempt.objects.values("delivery", "number").annotate(n=Count("pk")).filter(n__gt=1).count() == 0
    settled = Event.objects.filter(type="delivery.settled").values_list("details", flat=True)
    rows = [row for details in settled for row in details["rows"]]
    assert len(rows) == len(set(rows)) == Delivery.objects.count(), "a delivery was settled twice, or never told of"
    asked = [one for one in place.requests() if one["method"] == "POST" and one["url"].endswith("/Users")]
    assert len(asked) - len({name for one in asked for name in one["who"]}) == 0


@pytest.mark.parametrize("how", ["killed", "emptied", "paused"])
def test_the_queue_goes_away_and_nothing_is_lost(floor: Floor, how: str) -> None:
    """F1: HR is answered all the while, and what it wrote arrives once the queue is back."""
    place = floor.open_target("crm")
    token = make_source("hr", organisation=make_organisation())
    floor.begin_beat()
    floor.begin_worker()
    queue = floor.world.redis
    with floor.world.web():

        def write(number: int, method: str = "POST", path: str = "/Users") -> tuple[float, str]:
            document = {"schemas": [USER], "userName": f"n{number}", "externalId": f"x{number}", "title": "v1"}
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
            began = time.monotonic()
            answer = floor.world.ask(method, f"/scim/v2{path}", content=json.dumps(document), headers=headers)
            assert answer.status_code in (200, 201), answer.text
            return time.monotonic() - began, answer.json()["id"]

        known = {write(number)[1]: f"n{number}" for number in range(10)}
        if how == "killed":
            queue.kill()
        elif how == "paused":
            queue.pause()
            threading.Timer(6, queue.go_on).start()
        slowest = 0.0
        for number in range(10, 40):
            if how == "emptied" and number % 5 == 0:
                redis.Redis.from_url(queue.url).flushall()
            took, person = write(number)
            slowest = max(slowest, took)
            known[person] = f"n{number}"
        if how == "killed":
            queue.start()
            # kombu ends a worker whose queue goes while it holds a message; its supervisor begins another.
            floor.begin_worker()
    assert slowest < SLOWER
    floor.drain()
    there = {account["externalId"]: account["userName"] for account in place.users()}
    assert len(known) == 40
    assert there == known
    creates = [effect for effect in place.effects() if effect["act"] == "create"]
    assert len({effect["document"]["externalId"] for effect in creates}) == len(creates)
