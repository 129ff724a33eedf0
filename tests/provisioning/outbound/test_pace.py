"""How much at once a target takes, and waiting where it asks us to."""

from collections.abc import Iterator

import pytest

from broker import limits
from broker.delivery.models import Delivery
from provisioning.outbound.pace import Pace, forget_paces, pace_of
from tests.fakes.scim_target.running import ScimTarget
from tests.provisioning.outbound.desk import Desk

pytestmark = pytest.mark.django_db
AGAIN = {"retry-after": "0"}


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    forget_paces()
    yield
    forget_paces()


def never() -> bool:
    return False


def test_a_target_that_never_throttled_takes_any_number() -> None:
    pace = Pace()
    assert not pace.note(200, {})
    assert pace._places > 1_000


def test_a_throttled_target_gets_half_as_much_at_once_and_never_less_than_one() -> None:
    pace = Pace()
    pace._taken = 8
    assert pace.note(429, AGAIN)
    assert pace._places == 4
    for _ in range(5):
        pace.note(429, AGAIN)
    assert pace._places == 1


def test_those_that_were_refused_together_halve_it_once() -> None:
    pace = Pace()
    pace._taken = 8
    for _ in range(5):
        pace.note(429, {"retry-after": "2"})
    assert pace._places == 4


def test_good_answers_bring_one_more_at_once() -> None:
    pace = Pace()
    pace._taken = 2
    pace.note(429, AGAIN)
    for _ in range(limits.TARGET_PACE_GOOD):
        pace.note(200, {})
    assert pace._places == 1
    pace.note(200, {})
    assert pace._places == 2


@pytest.mark.parametrize("headers", [{}, {"retry-after": "3"}, {"retry-after": "soon"}, {"retry-after": "-1"}])
def test_no_word_or_a_long_wait_is_not_waited_here(headers: dict[str, str]) -> None:
    assert not Pace().note(429, headers)


def test_only_429_says_that_nothing_was_done() -> None:
    assert not Pace().note(503, AGAIN)


def test_whoever_waits_for_a_place_ends_with_its_crew() -> None:
    pace = Pace()
    pace._places = 1
    with pace.place(is_over=never), pace.place(is_over=lambda: True):
        assert pace._taken == 2
    assert pace._taken == 0


def test_one_target_has_one_pace() -> None:
    assert pace_of(1) is pace_of(1)
    assert pace_of(1) is not pace_of(2)


def test_a_short_wait_costs_no_attempt_and_no_second_look(desk: Desk, there: ScimTarget) -> None:
    alice = desk.person()
    desk.sync(alice, force=True)
    before = there.counts()["requests"]
    there.fault("answer", status=429, headers={"Retry-After": "0"}, times=2)
    desk.sync(desk.person("bob"), force=True)
    row = Delivery.objects.latest("pk")
    assert (row.state, row.attempts) == (Delivery.State.CONFIRMED, 1)
    statuses = [one["status"] for one in there.requests() if one["n"] > before]
    assert statuses.count(429) == 2
    assert desk.lane().not_before is None


def test_a_target_that_never_has_time_pauses_its_lane(desk: Desk, there: ScimTarget) -> None:
    alice = desk.person()
    desk.sync(desk.person("bob"), force=True)
    there.fault("answer", status=429, headers={"Retry-After": "0"})
    before = there.counts()["requests"]
    desk.sync(alice, force=True)
    assert desk.delivery(alice).reason == "target.throttled"
    assert desk.lane().not_before is not None
    assert there.counts()["requests"] - before == limits.TARGET_ASKED_AGAIN + 1
