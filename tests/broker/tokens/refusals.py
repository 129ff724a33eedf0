"""What every refusal of the token and userinfo endpoints leaves behind."""

from typing import Any

from broker.events.models import Event
from broker.traces.models import Trace

MEMBERS = {"error", "error_description", "code", "trace_id"}


def assert_refused(
    response: Any,
    *,
    error: str = "invalid_grant",
    code: str = "oauth.invalid_grant",
    status: int = 400,
    reason: str,
) -> None:
    """The answer of constant shape, an event with the reason, a trace with the code, and no token after it."""
    body = response.json()
    assert response.status_code == status, body
    assert set(body) == MEMBERS
    assert (body["error"], body["code"]) == (error, code)
    assert response["Cache-Control"] == "no-store"
    assert response["Countersign-Trace"] == body["trace_id"]
    event = Event.objects.filter(type="token.refused").latest("id")
    assert (event.code, event.details["reason"], event.trace_id) == (code, reason, body["trace_id"])
    trace = Trace.objects.get(pk=body["trace_id"])
    assert (trace.outcome, trace.code) == ("refused", code)
    assert not Event.objects.filter(type="token.issued", id__gt=event.id).exists()
