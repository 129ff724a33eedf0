"""Waits grow, have a greatest, and are spread over all of it."""

import random
from datetime import timedelta

import pytest

from broker import limits
from broker.delivery import backoff
from broker.delivery.backoff import bounded, pause_after, wait_after

NOTHING, SECOND = timedelta(0), timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "random", random.Random(7))


@pytest.mark.parametrize("failures", [0, 1, 5, 1_000_000])
def test_a_wait_is_drawn_from_nothing_to_its_greatest(failures: int) -> None:
    most = min(limits.DELIVERY_BACKOFF * float(2 ** min(failures, 30)), limits.DELIVERY_BACKOFF_MAX)
    drawn = [wait_after(failures) for _ in range(200)]
    assert NOTHING <= min(drawn) < most / 10
    assert most * 0.9 < max(drawn) <= most


def test_what_a_receiver_asks_for_is_kept_and_spread_a_little() -> None:
    asked = timedelta(seconds=100)
    drawn = [wait_after(10, asked) for _ in range(200)]
    assert asked <= min(drawn)
    assert max(drawn) <= asked + asked / 10 + SECOND
    assert len(set(drawn)) > 100


@pytest.mark.parametrize("asked", [timedelta(days=-1), NOTHING, SECOND, timedelta(days=4000), timedelta.max])
def test_no_receiver_asks_for_the_past_or_for_years(asked: timedelta) -> None:
    assert NOTHING <= bounded(asked) <= limits.DELIVERY_WAIT_MAX


def test_a_lane_that_does_not_answer_waits_for_at_least_half_of_its_pause() -> None:
    for pauses, most in ((0, limits.LANE_PAUSE), (1, 2 * limits.LANE_PAUSE), (99, limits.LANE_PAUSE_MAX)):
        drawn = [pause_after(pauses) for _ in range(100)]
        assert most / 2 <= min(drawn)
        assert max(drawn) <= most
