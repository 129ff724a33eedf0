"""What the decision endpoints do alike: who asks, what came, and how a refusal looks (AuthZEN section "Transport")."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any

import structlog
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from broker import limits
from broker.access.authentication import RESOURCE, SCOPE, authenticate_caller
from broker.access.authzen import read_body
from broker.access.callers import EnforcingClient
from broker.access.errors import InvalidAccessRequest, Unauthenticated
from broker.actors import Actor
from broker.errors import BrokerError
from broker.http import no_store, refusal_json, trace_id_of
from broker.throttling import Budget, TooMany
from broker.tokens.attempts import Attempt
from broker.tokens.dpop import NONCE_HEADER, fresh_nonce, read_proof
from broker.tokens.protected_resources import metadata_address

log = structlog.get_logger(__name__)
REALM = "countersign"
RETRY_AFTER_SECONDS = 5
REQUEST_ID_HEADER = "X-Request-ID"
_REQUEST_ID = re.compile(rf"[\x21-\x7e][\x20-\x7e]{{0,{limits.ACCESS_REQUEST_ID_CHARS - 1}}}")
AccessView = Callable[[Mapping[str, Any], EnforcingClient, Actor, datetime], dict[str, Any]]


def answered(budget: Budget) -> Callable[[AccessView], Callable[[HttpRequest], HttpResponse]]:
    """Give a view the request's JSON and its verified caller, who spends of `budget`, and answer with what it returns.

    Whatever fails is an error status and never a decision: the one who enforces it denies.
    """

    def wrap(view: AccessView) -> Callable[[HttpRequest], HttpResponse]:
        @csrf_exempt  # the caller proves itself in each request: there is no cookie that a foreign page could ride on
        @wraps(view)
        def run(request: HttpRequest) -> HttpResponse:
            request_id = request.headers.get(REQUEST_ID_HEADER, "")
            try:
                _check_request_id(request_id)
            except InvalidAccessRequest as error:
                return _refusal(request, error)
            response = _answer(view, request, budget)
            if request_id:
                response[REQUEST_ID_HEADER] = request_id
            return no_store(response)

        return run

    return wrap


def _answer(view: AccessView, request: HttpRequest, budget: Budget) -> HttpResponse:
    if request.method != "POST":
        response = refusal_json(BrokerError("request.method"), trace_id=trace_id_of(request))
        response["Allow"] = "POST"
        return response
    attempt = Attempt.of(request, "decision request", budget)
    try:
        now = timezone.now()
        caller = authenticate_caller(request, attempt=attempt, now=now)
        response = JsonResponse(view(_read_body(request), caller, attempt.actor, now))
    except BrokerError as error:
        response = _refusal(request, error)
    except DatabaseError as error:
        log.exception("database", error=type(error).__name__)
        response = _refusal(request, BrokerError("access.unavailable"))
    for name, value in attempt.left.headers().items() if attempt.left else ():
        response[name] = value
    if read_proof(request):
        # Whoever shows proofs always holds the next nonce (RFC 9449 section 8.2).
        response[NONCE_HEADER] = fresh_nonce(now=timezone.now())
    return response


def _read_body(request: HttpRequest) -> Mapping[str, Any]:
    try:
        raw = request.body
    except (UnreadablePostError, RawPostDataException) as error:
        raise InvalidAccessRequest("body", "a readable body") from error
    return read_body(
        raw, content_type=request.content_type or "", charset=(request.content_params or {}).get("charset")
    )


def _check_request_id(request_id: str) -> None:
    """It goes back into a header and into logs that are not ours. Raises InvalidAccessRequest."""
    if request_id and not _REQUEST_ID.fullmatch(request_id):
        raise InvalidAccessRequest(
            REQUEST_ID_HEADER, f"printable ASCII of at most {limits.ACCESS_REQUEST_ID_CHARS} characters"
        )


def _refusal(request: HttpRequest, error: BrokerError) -> HttpResponse:
    if not isinstance(error, TooMany) and not error.code.startswith("access."):
        # What is no refusal of this room's is the house's: a key that does not open, for instance.
        log.error("decision request", code=error.code)
        error = BrokerError("access.unavailable", detail=error.code)
    body = {
        "error": error.message if isinstance(error, InvalidAccessRequest) else error.refusal.meaning,
        "code": error.code,
        "trace_id": trace_id_of(request),
    }
    response = JsonResponse(body, status=error.status)
    if isinstance(error, TooMany):
        response["Retry-After"] = str(error.left.resets_in)
    elif error.status == 503:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    elif error.status in {401, 403}:
        response["WWW-Authenticate"] = _challenge(error)
    return no_store(response)


def _challenge(error: BrokerError) -> str:
    """How to come instead (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9728 section 5.1)."""
    where = f'realm="{REALM}", resource_metadata="{metadata_address(RESOURCE)}"'
    if error.status == 403:
        return f'Bearer {where}, error="insufficient_scope", scope="{SCOPE}"'
    if isinstance(error, Unauthenticated) and error.needs_nonce:
        return f'DPoP {where}, error="use_dpop_nonce"'
    return f'Basic realm="{REALM}", Bearer {where}'
