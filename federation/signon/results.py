"""What a test of a connection found, read from its trace."""

from dataclasses import dataclass, field
from typing import Any

from broker.traces.models import Trace
from broker.traces.services import read_trace
from federation.claims.authority import DROPPED_NOTE
from federation.signon.judging import CLAIMS_NOTE, UNMAPPED_NOTE
from federation.signon.testing import ACCOUNT_NOTE, HOP, RELEASE_NOTE


@dataclass(slots=True)
class ConnectionResult:
    """A test, over or under way. Values are texts as the trace keeps them."""

    trace_id: str
    connection: str
    outcome: Trace.Outcome
    code: str
    checks: list[dict[str, Any]] = field(default_factory=list)
    """{name, passed, expected, actual}, in their order."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    """{title, text}: what was sent and what came, redacted."""
    claims: dict[str, str] = field(default_factory=dict)
    unmapped: str = ""
    """The names of attributes that no rule maps."""
    dropped: list[dict[str, str]] = field(default_factory=list)
    """{claim, scopes}: values for which the identity provider may not speak."""
    account: dict[str, str] = field(default_factory=dict)
    """{subject, outcome}: whose login it would be."""
    releases: dict[str, dict[str, str]] = field(default_factory=dict)
    """{application: {claim: value}}"""
    notes: list[dict[str, Any]] = field(default_factory=list)
    """{text, values}: what else was noted."""

    @property
    def failed(self) -> dict[str, Any] | None:
        """The check that ended it, by its own name where it has one: another failure may only have dropped a value."""
        failed = [check for check in self.checks if not check["passed"]]
        if not self.code or not failed:
            return None
        return next((check for check in failed if check["expected"] == failed[-1]["expected"]), failed[-1])

    @property
    def is_over(self) -> bool:
        return self.outcome != Trace.Outcome.UNDER_WAY


def read_result(trace_id: str) -> ConnectionResult | None:
    """The test under this trace id; None when there is none, or none that a browser has begun."""
    trace = Trace.objects.filter(pk=trace_id).first()
    hops = read_trace(trace_id) if trace else []
    if trace is None or not any(hop["name"].endswith(HOP) for hop in hops):
        return None
    result = ConnectionResult(trace.pk, trace.connection, Trace.Outcome(trace.outcome), trace.code)
    for hop in hops:
        for entry in hop["entries"]:
            _add(result, entry)
    return result


def _add(result: ConnectionResult, entry: dict[str, Any]) -> None:
    if entry["type"] == "check":
        result.checks.append(entry)
    elif entry["type"] == "message":
        result.messages.append(entry)
    elif entry["text"] == CLAIMS_NOTE:
        result.claims = entry["values"]
    elif entry["text"] == UNMAPPED_NOTE:
        result.unmapped = entry["values"]["names"]
    elif entry["text"] == DROPPED_NOTE:
        result.dropped.append(entry["values"])
    elif entry["text"] == ACCOUNT_NOTE:
        result.account = entry["values"]
    elif entry["text"].startswith(RELEASE_NOTE):
        result.releases[entry["text"].removeprefix(RELEASE_NOTE)] = entry["values"]
    else:
        result.notes.append(entry)
