"""F7: kill -9 of the worker at each step of an attempt. F24: of the web server in the middle of a request.

Where the kill hits is not left to chance here: the target is slow, or a row that the worker needs is locked.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2
import pytest
from django.db import connection, transaction

from broker.delivery.models import Attempt, Delivery
from broker.directory.models import Person
from provisioning.outbound.models import RemoteAccount
from tests.factories import make_organisation
from tests.fakes.scim_target.running import ScimTarget
from tests.faults.floor import Floor
from tests.faults.targets import make_source

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]
PEOPLE = 30
WAIT = 90


def wait_for(is_so: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + WAIT
    while not is_so():
        assert time.monotonic() < until, f"not within {WAIT} s: {what}"
        time.sleep(0.01)


@contextmanager
def locked(model: type[RemoteAccount] | type[Delivery]) -> Iterator[None]:
    """Nobody else writes these rows meanwhile, and who wants to, waits."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # the product's is short
                list(model.objects.select_for_update())
                held.set()
                release.wait(WAIT)
        finally:
            connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(WAIT)
    try:
        yield
    finally:
        release.set()
        thread.join()


def has_begun() -> bool:
    return Delivery.objects.filter(state="delivering").exists()


def end_well(floor: Floor) -> None:
    """Another worker takes over; the target is judged by its own log, the ledger by its attempts."""
    floor.begin_worker()
    floor.drain()
    floor.judge()
    acts = Counter((effect["document"].get("externalId"), effect["act"]) for effect in floor.targets["crm"].effects())
    assert all(acts[external_id, "create"] == 1 for external_id in floor.hr.expected())


@pytest.fixture
def target(floor: Floor) -> ScimTarget:
    floor.begin_beat()
    return floor.open_target("crm")


def test_before_the_claim(floor: Floor, target: ScimTarget) -> None:
    worker = floor.begin_worker()
    floor.hire(PEOPLE)
    floor.kill(worker)
    end_well(floor)


def test_between_the_claim_and_the_request(floor: Floor, target: ScimTarget) -> None:
    floor.hire(PEOPLE)
    floor.work_readers()
    with locked(RemoteAccount):
        worker = floor.begin_worker()
        wait_for(has_begun, "a claim")
        time.sleep(0.2)
        assert not [one for one in target.effects() if "canary" not in str(one["document"].get("userName"))]
        floor.kill(worker)
    end_well(floor)
    assert Attempt.objects.filter(outcome="lost").exists()


def test_while_the_target_is_at_it(floor: Floor, target: ScimTarget) -> None:
    target.change(latency_ms=400)
    floor.hire(PEOPLE)
    worker = floor.begin_worker()
    wait_for(lambda: any(one["method"] == "POST" and not one["done"] for one in target.requests()), "a request")
    floor.kill(worker)
    end_well(floor)
    assert Attempt.objects.filter(outcome="lost").exists()


def test_between_the_answer_and_the_commit(floor: Floor, target: ScimTarget) -> None:
    target.change(latency_ms=300)
    floor.hire(PEOPLE)
    before = len(target.effects())
    worker = floor.begin_worker()
    wait_for(lambda: target.counts()["in_flight"] > 0, "a request")
    with locked(Delivery):
        wait_for(lambda: len(target.effects()) - before == PEOPLE, "all effects")
        time.sleep(0.5)
        floor.kill(worker)
        assert not Attempt.objects.exclude(outcome="lost").exists(), "committed after all"
    target.change(latency_ms=0)
    end_well(floor)
    assert Attempt.objects.filter(outcome="lost").exists()


def test_right_after_the_commit(floor: Floor, target: ScimTarget) -> None:
    floor.hire(PEOPLE)
    worker = floor.begin_worker()
    wait_for(lambda: Delivery.objects.filter(state="confirmed").exists(), "a settled delivery")
    floor.kill(worker)
    end_well(floor)


def test_while_it_closes_accounts(floor: Floor, target: ScimTarget) -> None:
    people = floor.hire(PEOPLE)
    worker = floor.begin_worker()
    floor.drain()
    target.change(latency_ms=300)
    floor.tell(people, active=False)
    wait_for(lambda: target.counts()["in_flight"] > 0, "a request")
    floor.kill(worker)
    floor.begin_worker()
    floor.drain()
    floor.judge()


def test_a_successor_does_not_overtake_a_request_that_is_still_under_way(floor: Floor) -> None:
    # A slow target that lets two accounts have one name: whoever looks too early finds nothing, and creates a second.
    floor.begin_beat()
    target = floor.open_target("crm", doubles=True)
    target.change(latency_ms=4000)
    floor.hire(3)
    worker = floor.begin_worker()
    wait_for(lambda: any(one["method"] == "POST" and not one["done"] for one in target.requests()), "a request")
    floor.kill(worker)
    target.change(latency_ms=0)
    end_well(floor)


def test_a_probe_that_was_killed_leaves_no_account_behind(floor: Floor) -> None:
    floor.begin_beat()
    target = floor.open_target("crm", probed=False)
    target.change(latency_ms=100)
    floor.hire(3)
    worker = floor.begin_worker()
    wait_for(lambda: bool(target.effects()), "the canary")
    floor.kill(worker)
    target.change(latency_ms=0)
    floor.begin_worker()
    floor.drain()
    floor.judge()


def test_an_answer_that_the_source_never_got_is_asked_for_again(floor: Floor) -> None:
    """F24: the web server ends in the middle of HR's request, and HR sends the same once more."""
    floor.begin_beat()
    token = make_source("hr", organisation=make_organisation())
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            {
                "method": "POST",
                "path": "/Users",
                "bulkId": f"b{number}",
                "data": {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": f"n{number}"},
            }
            for number in range(200)
        ],
    }

    def send() -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
        return floor.world.ask("POST", "/scim/v2/Bulk", content=json.dumps(body), headers=headers)

    with floor.world.web() as web:
        threading.Timer(0.15, lambda: floor.world.kill_program(web)).start()
        with pytest.raises(httpx2.HTTPError):
            send()
    left = Person.objects.count()
    with floor.world.web():
        answer = send()
    assert answer.status_code == 200
    assert Person.objects.count() == 200, f"{left} were there after the kill"
    statuses = {one["status"] for one in answer.json()["Operations"]}
    assert statuses <= {"201", "409"}
