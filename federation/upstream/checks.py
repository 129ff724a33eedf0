"""Running an ordered tuple of named checks of an OpenID provider's answer, each of them left in the trace."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from broker.errors import BrokerError
from broker.traces.collector import Collector

Compared = tuple[object, object]
"""What a check that passed compared: (expected, actual)."""
Case = TypeVar("Case")


def run_checks(checks: Sequence[Callable[[Case], Compared]], case: Case, *, trace: Collector, subject: str) -> None:
    """Run `checks` in order on `case`; the first that fails raises its BrokerError. Recorded as "<subject> <check>".

    An empty sequence raises ValueError: nothing checked is not the same as nothing wrong.
    """
    if not checks:
        raise ValueError("no checks to run")
    for check in checks:
        name = f"{subject} {check.__name__.removeprefix('check_').replace('_', ' ')}"
        try:
            expected, actual = check(case)
        except BrokerError as refusal:
            trace.check(name, passed=False, expected=refusal.expected, actual=refusal.actual or refusal.detail)
            raise
        trace.check(name, passed=True, expected=expected, actual=actual)
