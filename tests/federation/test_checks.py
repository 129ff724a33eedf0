"""Running checks: in order, all of them, and never none."""

import pytest

from broker.errors import BrokerError
from broker.traces.collector import Collector
from federation.checks import Compared, recorded, run_checks


def check_first(case: str) -> Compared:
    return "a case", case


def check_second(case: str) -> Compared:
    raise BrokerError("saml.issuer", expected="other", actual=case)


def check_third(case: str) -> Compared:
    raise AssertionError("a check behind one that failed must not run")


def test_checks_stop_at_the_first_refusal_and_are_all_recorded() -> None:
    trace = Collector()
    with pytest.raises(BrokerError):
        run_checks((check_first, check_second, check_third), "it", trace=trace, subject="thing")
    assert [(entry["name"], entry["passed"], entry["actual"]) for entry in trace.entries] == [
        ("thing first", True, "it"),
        ("thing second", False, "it"),
    ]


def test_no_checks_are_a_fault_and_no_success() -> None:
    with pytest.raises(ValueError, match="no checks"):
        run_checks((), "it", trace=Collector())


def test_step_that_reads_is_recorded_too() -> None:
    trace = Collector()
    with recorded("reading", expected="text", trace=trace):
        pass
    with pytest.raises(BrokerError), recorded("reading", expected="text", trace=trace):
        raise BrokerError("saml.malformed", detail="no text")
    assert [(entry["passed"], entry["expected"], entry["actual"]) for entry in trace.entries] == [
        (True, "text", "so it is"),
        (False, "text", "no text"),
    ]
