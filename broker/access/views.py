"""The decision endpoints of AuthZEN 1.0 and their metadata: plain views, each one service long."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from broker import limits
from broker.access import authzen
from broker.access.answers import answered
from broker.access.authzen import Batch, Sought
from broker.access.callers import EnforcingClient
from broker.access.declared import with_declared
from broker.access.entities import Evaluation
from broker.access.metadata import describe_decision_point
from broker.access.search import run_search
from broker.access.services import decide, decide_many
from broker.actors import Actor
from broker.throttling import Budget

Body = Mapping[str, Any]
DECISIONS = Budget("decisions", limits.DECISION_REQUESTS)
SEARCHES = Budget("searches", limits.SEARCH_REQUESTS)
"""A search can look at a thousand times as much."""


@answered(DECISIONS)
def evaluation(body: Body, caller: EnforcingClient, actor: Actor, now: datetime) -> dict[str, Any]:
    """POST /access/v1/evaluation (AuthZEN section "Access Evaluation API")."""
    return _decide_one(authzen.read_evaluation(body), caller, actor, now)


@answered(DECISIONS)
def evaluations(body: Body, caller: EnforcingClient, actor: Actor, now: datetime) -> dict[str, Any]:
    """POST /access/v1/evaluations (AuthZEN section "Access Evaluations API")."""
    asked = authzen.read_evaluations(body)
    if not isinstance(asked, Batch):
        return _decide_one(asked, caller, actor, now)
    questions = with_declared(authzen.evaluations_of(asked), caller)
    decided = decide_many(questions, caller=caller, actor=actor, now=now, semantic=asked.semantic)
    return authzen.write_batch(asked, decided)


@answered(SEARCHES)
def search_subject(body: Body, caller: EnforcingClient, actor: Actor, now: datetime) -> dict[str, Any]:
    """POST /access/v1/search/subject (AuthZEN section "Subject Search API")."""
    return _search(Sought.SUBJECT, body, caller, actor, now)


@answered(SEARCHES)
def search_resource(body: Body, caller: EnforcingClient, actor: Actor, now: datetime) -> dict[str, Any]:
    """POST /access/v1/search/resource (AuthZEN section "Resource Search API")."""
    return _search(Sought.RESOURCE, body, caller, actor, now)


@answered(SEARCHES)
def search_action(body: Body, caller: EnforcingClient, actor: Actor, now: datetime) -> dict[str, Any]:
    """POST /access/v1/search/action (AuthZEN section "Action Search API")."""
    return _search(Sought.ACTION, body, caller, actor, now)


@require_safe
def metadata(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """GET /.well-known/authzen-configuration; no database is needed."""
    response = JsonResponse(describe_decision_point())
    response["Cache-Control"] = f"public, max-age={int(limits.DISCOVERY_MAX_AGE.total_seconds())}"
    return response


def _decide_one(question: Evaluation, caller: EnforcingClient, actor: Actor, now: datetime) -> dict[str, Any]:
    (known,) = with_declared([question], caller)
    return authzen.write_decision(decide(known, caller=caller, actor=actor, now=now))


def _search(sought: Sought, body: Body, caller: EnforcingClient, actor: Actor, now: datetime) -> dict[str, Any]:
    found = run_search(authzen.read_search(sought, body), caller=caller, actor=actor, now=now)
    page: dict[str, Any] = {"next_token": found.next_token, "count": len(found.results)}
    if found.is_cut:
        page["properties"] = {"examined": found.examined, "stopped_at": limits.ACCESS_SEARCH_CANDIDATES}
    return {"page": page, "results": [authzen.write_entity(one) for one in found.results]}
