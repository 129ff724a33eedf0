"""Running this room's ordered lists of checks, and leaving each in the trace."""

from collections.abc import Callable
from typing import TypeVar

from broker.tokens.errors import OAuthError
from broker.traces.collector import Collector

T = TypeVar("T")


def run_checks(checks: tuple[Callable[[T], None], ...], presented: T, *, trace: Collector) -> None:
    """Run an ordered list of checks, each leaving its name. Raises what the first failing one raises."""
    for check in checks:
        name = f"token.{check.__name__.removeprefix('check_')}"
        try:
            check(presented)
        except OAuthError as error:
            trace.check(name, passed=False, expected=error.expected, actual=error.actual or error.reason)
            raise
        trace.check(name, passed=True)
