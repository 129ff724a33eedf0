"""Values are shown to people, never as Python writes them."""

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import pytest

from broker.errors import BrokerError
from broker.traces.collector import Collector
from broker.wording import in_words, json_kind


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("as it is", "as it is"),
        (Colour.RED, "red"),
        (None, "none"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (datetime(2026, 11, 23, 9, 5, 7, 999, tzinfo=UTC), "2026-11-23 09:05:07 UTC"),
        (datetime(2026, 11, 23, 9, 5, 7, tzinfo=timezone(timedelta(hours=2))), "2026-11-23 07:05:07 UTC"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=10, seconds=2.4), "10 minutes 2 seconds"),
        (timedelta(days=1, hours=1), "1 day 1 hour"),
        (timedelta(seconds=-30), "minus 30 seconds"),
        (timedelta(0), "0 seconds"),
        (["https://a.example", "https://b.example"], "https://a.example, https://b.example"),
        ([["https://old.example/saml"]], "https://old.example/saml"),
        ([["a", "b"], ["c"]], "a, b; c"),
        ({"b", "a"}, "a, b"),
        ((3, 10), "3, 10"),
        ([], "none"),
        (frozenset(), "none"),
    ],
)
def test_a_value_is_said_in_words(value: Any, words: str) -> None:
    assert in_words(value) == words
    trace = Collector()
    trace.check("name", passed=True, expected=value, actual=value)
    trace.note("A fact.", value=value)
    assert (trace.entries[0]["expected"], trace.entries[0]["actual"]) == (words, words)
    assert trace.entries[1]["values"] == {"value": words}
    refused = BrokerError("saml.audience", expected=value, actual=value)
    assert (refused.expected, refused.actual) == (words, words)


@pytest.mark.parametrize(
    ("value", "kind"),
    [("", "a text"), (True, "true or false"), (1, "a number"), (1.5, "a number"), ([], "a list"), ({}, "an object")],
)
def test_a_json_value_is_called_by_its_kind(value: Any, kind: str) -> None:
    assert json_kind(value) == kind


def test_null_is_called_null() -> None:
    assert json_kind(None) == "null"
