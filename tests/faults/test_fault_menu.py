"""F9 and F10: everything that a target can do wrong. F25: names that lead elsewhere.

The carrier is this process, so that time can be moved; the target is scim2-server's core in a process of its own.
"""

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.delivery.models import Attempt, Delivery, Lane, Priority
from broker.delivery.services import resume_lane
from broker.events.models import Event
from provisioning.outbound.models import RemoteAccount, Target
from provisioning.outbound.services import request_sync
from tests.fakes.scim_target.running import ScimTarget
from tests.fakes.server import saying, serving
from tests.faults.floor import Floor

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]
PEOPLE = 8
LANE = "target:crm"


class Time:
    """Moves this process's clock; nobody sleeps."""

    def __init__(self, coordinates: Any) -> None:
        self._coordinates = coordinates

    def pass_(self, by: timedelta) -> None:
        self._coordinates.shift(by)


@pytest.fixture
def moving() -> Iterator[Time]:
    with time_machine.travel(timezone.now(), tick=True) as coordinates:
        yield Time(coordinates)


@pytest.fixture(autouse=True)
def _short_exchanges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TARGET_EXCHANGE_SECONDS", 3.0)


@pytest.fixture
def target(floor: Floor) -> ScimTarget:
    return floor.open_target("crm", fast=False)


def work_on(floor: Floor, moving: Time, *, until: Callable[[], bool] | None = None, steps: int = 60) -> None:
    """Work, and let time pass to whatever is due next, until nothing waits (or `until`)."""
    is_done = until or floor.hr.is_drained
    for _ in range(steps):
        floor.work()
        if is_done():
            return
        moving.pass_(timedelta(minutes=2))
    pytest.fail(f"not done after {steps} steps: {floor.hr.ledger_state()}")


# -- F9: single answers -------------------------------------------------

FAULTS: dict[str, dict[str, Any]] = {
    "500": {"fault": "answer", "status": 500},
    "503 without a word": {"fault": "answer", "status": 503},
    "429 with Retry-After": {"fault": "answer", "status": 429, "headers": {"Retry-After": "40"}},
    "429 without": {"fault": "answer", "status": 429},
    "409 that is none": {"fault": "answer", "status": 409},
    "404 that is none": {"fault": "answer", "status": 404},
    "no answer": {"fault": "hang", "seconds": 30},
    "no answer and no effect": {"fault": "hang", "seconds": 30, "effect": False},
    "a byte a second": {"fault": "trickle", "rate": 1.0},
    "cut in the body": {"fault": "cut"},
    "cut and no effect": {"fault": "cut", "effect": False},
    "HTML": {"fault": "html"},
    "HTML as an error": {"fault": "html", "status": 502},
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_single_faults_lose_and_double_nobody(
    floor: Floor, target: ScimTarget, moving: Time, name: str, method: str
) -> None:
    people = floor.hire(PEOPLE)
    if method == "PATCH":
        work_on(floor, moving)
        floor.tell(people[:4], active=False)
        floor.tell(people[4:])
    target.fault(method=method, times=3, **FAULTS[name])
    for _ in range(40):
        floor.work()
        if floor.hr.is_drained():
            break
        moving.pass_(timedelta(minutes=2))
    assert sum(fault["hits"] for fault in target.faults()["faults"]) > 0, "the fault never happened"
    dead = Delivery.objects.filter(state="dead")
    # What nobody can mend but an operator lies where operators look: it is not lost, and goes on when they say so.
    assert all(row.reason.startswith("target.") for row in dead)
    target.mend()
    ids = [one.person.pk for one in people if one.person]
    request_sync(Target.objects.get(slug="crm"), ids, priority=Priority.NORMAL, actor=SYSTEM)
    work_on(floor, moving)
    comparison = floor.compare()
    assert comparison.is_good, comparison.table(name)


def test_retry_after_holds_the_whole_lane(floor: Floor, target: ScimTarget, moving: Time) -> None:
    floor.hire(PEOPLE)
    target.fault("answer", status=429, headers={"Retry-After": "300"}, times=1)
    floor.work()
    asked = len(target.requests())
    moving.pass_(timedelta(seconds=290))
    floor.work()
    assert len(target.requests()) == asked, "it was asked again before its time"
    moving.pass_(timedelta(seconds=60))
    work_on(floor, moving)
    floor.judge()


def test_attempts_are_spread_by_backoff_and_the_circuit_opens(floor: Floor, target: ScimTarget, moving: Time) -> None:
    floor.hire(PEOPLE)
    target.fault("answer", status=500)
    before = len(target.requests())
    for _ in range(60):
        floor.work()
        moving.pass_(timedelta(seconds=5))
    lane = Lane.objects.get(name=LANE)
    assert lane.state == Lane.State.BROKEN
    assert len(target.requests()) - before < 60, "a target that does not answer is asked without end"
    target.mend()
    work_on(floor, moving)
    floor.judge()


def test_401_stops_the_lane_until_an_operator_resumes_it(floor: Floor, target: ScimTarget, moving: Time) -> None:
    floor.hire(PEOPLE)
    target.fault("answer", status=401)
    floor.work()
    assert Lane.objects.get(name=LANE).state == Lane.State.STOPPED
    assert Event.objects.filter(type="lane.stopped").exists()
    asked = len(target.requests())
    for _ in range(5):
        moving.pass_(timedelta(hours=1))
        floor.work()
    assert len(target.requests()) == asked
    target.mend()
    resume_lane(LANE, actor=SYSTEM)
    work_on(floor, moving)
    floor.judge()


def test_an_account_that_was_there_before_is_adopted(floor: Floor, target: ScimTarget, moving: Time) -> None:
    schema = "urn:ietf:params:scim:schemas:core:2.0:User"
    for name in ("e00000", "E00001"):
        target.act("create", document={"schemas": [schema], "userName": name, "title": "by hand"})
    floor.hire(PEOPLE)
    work_on(floor, moving)
    accounts = target.users()
    assert len(accounts) == PEOPLE
    assert {account["externalId"] for account in accounts} == set(floor.hr.expected())
    assert RemoteAccount.objects.filter(was_adopted=True).count() == 2
    assert floor.compare().findings == {}


def test_an_account_that_was_deleted_there_is_made_again(floor: Floor, target: ScimTarget, moving: Time) -> None:
    people = floor.hire(PEOPLE)
    work_on(floor, moving)
    target.act("delete", user_name=people[0].name)
    floor.tell(people)
    work_on(floor, moving)
    floor.judge(recreated=True)


def test_an_account_that_was_deleted_there_counts_as_closed(floor: Floor, target: ScimTarget, moving: Time) -> None:
    people = floor.hire(PEOPLE)
    work_on(floor, moving)
    target.act("delete", user_name=people[0].name)
    floor.tell(people[:1], active=False)
    work_on(floor, moving)
    assert len(target.users()) == PEOPLE - 1
    assert Delivery.objects.latest("pk").state == "confirmed"


def test_a_redirect_into_the_machine_is_not_followed(floor: Floor, target: ScimTarget, moving: Time) -> None:
    with serving(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as inside:
        for status in (301, 302, 303, 307, 308):
            target.fault("redirect", status=status, location=f"http://127.0.0.1:{inside.port}/scim/v2/Users", times=2)
        floor.hire(PEOPLE)
        work_on(floor, moving)
        assert inside.connections == 0
    floor.judge()


def test_a_liar_is_told_again_and_again_and_never_believed(floor: Floor, target: ScimTarget, moving: Time) -> None:
    people = floor.hire(PEOPLE)
    work_on(floor, moving)
    target.change(lie_on_disable=True)
    floor.tell(people[:2], active=False)
    for _ in range(30):
        floor.work()
        moving.pass_(timedelta(minutes=30))
    open_rows = Delivery.objects.filter(settled_at=None)
    assert {row.reason for row in open_rows} == {"target.lied"}
    assert open_rows.count() == 2, "a leaver was given up"
    assert Event.objects.filter(type="delivery.late").exists()
    assert not floor.compare().is_good
    target.mend()
    work_on(floor, moving)
    floor.judge()


def test_a_leaver_is_retried_for_ever_and_told_of_after_a_quarter_of_an_hour(
    floor: Floor, target: ScimTarget, moving: Time
) -> None:
    people = floor.hire(PEOPLE)
    work_on(floor, moving)
    target.kill()
    floor.tell(people[:1], active=False)
    floor.work()
    moving.pass_(timedelta(minutes=14))
    floor.work()
    assert not Event.objects.filter(type="delivery.late").exists()
    moving.pass_(timedelta(minutes=2))
    floor.work()
    assert Event.objects.filter(type="delivery.late").count() == 1
    for _ in range(40):
        moving.pass_(timedelta(hours=2))
        floor.work()
    assert Delivery.objects.filter(settled_at=None).count() == 1
    target.start()
    work_on(floor, moving)
    floor.judge()


def test_a_slow_target_holds_up_only_itself(floor: Floor) -> None:
    slow = [floor.open_target(f"slow{number}") for number in range(6)]
    quick = floor.open_target("quick")
    for place in slow:
        place.fault("hang", seconds=60)
    floor.begin_beat()
    floor.begin_worker()
    floor.hire(20)
    took = floor.world.wait_until(lambda: len(quick.users()) == 20, what="the quick target has all", seconds=15)
    assert took < 15
    for place in slow:
        place.mend()
        assert not place.users() or len(place.users()) <= 20


# -- F10: bulk ----------------------------------------------------------


@pytest.mark.parametrize("is_process", [False, True], ids=["the connection", "the process"])
def test_a_bulk_request_that_dies_half_way_is_not_repeated(floor: Floor, moving: Time, is_process: bool) -> None:
    target = floor.open_target("crm", doubles=True)
    assert Target.objects.get(slug="crm").capabilities["bulk"], "the probe did not find bulk"
    floor.hire(100)
    floor.note_absent("crm")
    target.fault("bulk_dies", after=60, path="/Bulk", times=1, process=is_process)
    before = len(target.effects())
    floor.work()
    assert len(target.effects()) - before == 60, "the fault never happened"
    if is_process:
        target.kill()
        target.start()
    work_on(floor, moving)
    floor.judge()
    assert len(target.effects()) - before == 100
    assert Attempt.objects.exclude(outcome="confirmed").exists()


# -- F25: addresses -----------------------------------------------------


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("target.example", []),
        ("target.example", ["10.0.0.5"]),
        ("target.example", ["169.254.169.254"]),
        ("target.example", ["::1"]),
        ("target.example", ["192.168.1.1", "127.0.0.1"]),
    ],
)
def test_a_name_that_leads_nowhere_or_inside_is_waited_for(
    floor: Floor,
    target: ScimTarget,
    moving: Time,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    host: str,
    addresses: list[str],
) -> None:
    settings.OUTGOING_NETWORKS = []
    right = Target.objects.get(slug="crm").base_url
    Target.objects.filter(slug="crm").update(base_url=f"https://{host}:{target.port}/scim/v2")
    asked: list[str] = []

    def resolve(name: str, *_arguments: Any, **_options: Any) -> list[Any]:
        asked.append(name)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

    before = len(target.requests())
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", resolve)
        floor.hire(PEOPLE)
        for _ in range(3):
            floor.work()
            moving.pass_(timedelta(minutes=5))
    assert host in asked
    assert len(target.requests()) == before
    assert Delivery.objects.filter(settled_at=None).count() == PEOPLE, "given up, or taken for done"
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    Target.objects.filter(slug="crm").update(base_url=right)
    work_on(floor, moving)
    floor.judge()
