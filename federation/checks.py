"""Running an ordered tuple of named checks and leaving each one in the trace."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from broker.errors import BrokerError
from broker.traces.collector import Collector

Compared = tuple[object, object]
"""What a check that passed compared: (expected, actual)."""

Case = TypeVar("Case")


def run_checks(
    checks: Sequence[Callable[[Case], Compared]], case: Case, *, trace: Collector, subject: str = ""
) -> None:
    """Run `checks` in order on `case`; the first that fails raises its BrokerError.

    Each check is recorded under its function's name, with `subject` in front ("response", "assertion").
    An empty tuple raises ValueError: nothing checked is not the same as nothing wrong.
    """
    if not checks:
        raise ValueError("no checks to run")
    for check in checks:
        name = f"{subject} {check.__name__.removeprefix('check_').replace('_', ' ')}".strip()
        try:
            expected, actual = check(case)
        except BrokerError as refusal:
            trace.check(name, passed=False, expected=refusal.expected, actual=refusal.actual or refusal.detail)
            raise
        trace.check(name, passed=True, expected=expected, actual=actual)


@contextmanager
def recorded(name: str, *, expected: object, trace: Collector) -> Iterator[None]:
    """Record a step that reads rather than compares: passed, or failed with the BrokerError that leaves it."""
    try:
        yield
    except BrokerError as refusal:
        trace.check(name, passed=False, expected=refusal.expected or expected, actual=refusal.actual or refusal.detail)
        raise
    trace.check(name, passed=True, expected=expected, actual="so it is")
