"""Retry-After: what a receiver may ask for, and what is not listened to."""

from datetime import UTC, datetime, timedelta

import pytest

from broker import limits
from broker.delivery.waiting import asked_pause

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def until(value: str, status: int = 429) -> datetime | None:
    pause = asked_pause(status, {"retry-after": value}, now=NOW)
    return pause.until if pause else None


def test_seconds_and_dates_are_understood() -> None:
    assert until("30") == NOW + timedelta(seconds=30)
    assert until(" 30 ", 503) == NOW + timedelta(seconds=30)
    assert until("Mon, 23 Nov 2026 12:05:00 GMT") == NOW + timedelta(minutes=5)


def test_nobody_makes_us_wait_longer_than_our_limit_or_into_the_past() -> None:
    assert until("99999999") == NOW + limits.DELIVERY_WAIT_MAX
    assert until("Mon, 23 Nov 2037 12:00:00 GMT") == NOW + limits.DELIVERY_WAIT_MAX
    assert until("Mon, 23 Nov 2020 12:00:00 GMT") == NOW
    assert until("0") == NOW


@pytest.mark.parametrize(
    "value", ["", "soon", "-5", "1.5", "9" * 400, "٣٠", "Mon, 23 Nov 2026", "Mon, 99 Nov 2026 12:00:00 GMT"]
)
def test_what_is_no_time_asks_for_nothing(value: str) -> None:
    assert until(value) is None


@pytest.mark.parametrize("status", [200, 400, 500, 502])
def test_other_answers_do_not_ask(status: int) -> None:
    assert until("30", status) is None
    assert asked_pause(429, {}, now=NOW) is None
