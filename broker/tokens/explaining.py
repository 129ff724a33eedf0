"""Why does a client get a token, or why not? The endpoint's own phases, run for somebody who asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from broker.actors import Actor
from broker.errors import BrokerError
from broker.events.models import Event
from broker.registry.cache import parties
from broker.registry.flow_evidence import evidence
from broker.registry.flow_use import uses
from broker.registry.models import Client
from broker.tokens.attempts import Attempt
from broker.tokens.endpoint import GRANTS, issue
from broker.tokens.requests import TokenRequest
from broker.traces.collector import Collector


@dataclass(frozen=True, slots=True)
class Explanation:
    """`entries` are the phases and their checks, as a trace holds them; `made` is what the book says of the token."""

    entries: list[dict[str, Any]]
    refusal: BrokerError | None = None
    made: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    response: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The token response itself; empty when nothing was issued."""


def explain_token(client: Client, parameters: Mapping[str, str], *, actor: Actor) -> Explanation:
    """What the token endpoint would do for the client now. Nothing is issued, and nothing of it stays."""
    with transaction.atomic():
        explanation = _run(client, parameters, actor=actor)
        transaction.set_rollback(True)
    # What these remember of rows that are no longer there would be wrong.
    for memory in (parties, evidence, uses):
        memory.forget()
    return Explanation(explanation.entries, explanation.refusal, explanation.made, explanation.warnings)


def issue_token(client: Client, parameters: Mapping[str, str], *, actor: Actor) -> Explanation:
    """The same, with the token: an operator stands for the client, which proves nothing."""
    return _run(client, parameters, actor=actor)


def _run(client: Client, parameters: Mapping[str, str], *, actor: Actor) -> Explanation:
    attempt = Attempt(actor, Collector(hop="issue_token"), is_explained=True)
    attempt.concerns(client)
    request = TokenRequest(parameters=parameters, raw_authorization="")
    before = Event.objects.order_by("-id").values_list("id", flat=True)[:1]
    last = next(iter(before), 0)
    try:
        answer = issue(GRANTS[request.grant_type], request, client=client, attempt=attempt)
    except BrokerError as error:
        return Explanation(attempt.trace.entries, refusal=error)
    (event,) = Event.objects.filter(id__gt=last, trace_id=actor.trace_id, type="token.issued").order_by("id")[:1]
    made = {"grant": event.subject_id, **event.details}
    return Explanation(attempt.trace.entries, made=made, warnings=answer.warnings, response=answer.response)
