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
from broker.access.authentication import authenticate_caller
from broker.access.authzen import read_body
from broker.access.callers import EnforcingClient
from broker.access.errors import InvalidAccessRequest, Unauthenticated
from broker.actors import Actor
from broker.errors import BrokerError
from broker.http import no_store, refusal_json, trace_id_of
from broker.tokens.attempts import Attempt
from broker.tokens.dpop import NONCE_HEADER

log = structlog.get_logger(__name__)
REALM = "countersign"
RETRY_AFTER_SECONDS = 5
REQUEST_ID_HEADER = "X-Request-ID"
_REQUEST_ID = re.compile(rf"[\x21-\x7e][\x20-\x7e]{{0,{limits.ACCESS_REQUEST_ID_CHARS - 1}}}")
AccessView = Callable[[Mapping[str, Any], EnforcingClient, Actor, datetime], dict[str, Any]]


def answered(view: AccessView) -> Callable[[HttpRequest], HttpResponse]:
    """Give a view the request's JSON and its verified caller, and answer with what it returns.

    Whatever fails is an error status and never a decision: the one who enforces it denies.
    """

    @csrf_exempt  # the caller proves itself in each request: there is no cookie that a foreign page could ride on
    @wraps(view)
    def run(request: HttpRequest) -> HttpResponse:
        request_id = request.headers.get(REQUEST_ID_HEADER, "")
        try:
            _check_request_id(request_id)
        except InvalidAccessRequest as error:
            return _refusal(request, error)
        response = _answer(view, request)
        if request_id:
            response[REQUEST_ID_HEADER] = request_id
        return no_store(response)

    return run


def _answer(view: AccessView, request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        response = refusal_json(BrokerError("request.method"), trace_id=trace_id_of(request))
        response["Allow"] = "POST"
        return response
    try:
        attempt = Attempt.of(request, "decision request")
        now = timezone.now()
        caller = authenticate_caller(request, attempt=attempt, now=now)
        return JsonResponse(view(_read_body(request), caller, attempt.actor, now))
    except BrokerError as error:
        return _refusal(request, error)
    except DatabaseError as error:
        log.exception("database", error=type(error).__name__)
        return _refusal(request, BrokerError("access.unavailable"))


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
    if not error.code.startswith("access."):
        # What is no refusal of this room's is the house's: a key that does not open, for instance.
        log.error("decision request", code=error.code)
        error = BrokerError("access.unavailable", detail=error.code)
    body = {
        "error": error.message if isinstance(error, InvalidAccessRequest) else error.refusal.meaning,
        "code": error.code,
        "trace_id": trace_id_of(request),
    }
    response = JsonResponse(body, status=error.status)
    if error.status == 401:
        response["WWW-Authenticate"] = f'Basic realm="{REALM}", Bearer realm="{REALM}"'
    if isinstance(error, Unauthenticated) and error.nonce:
        response["WWW-Authenticate"] = f'DPoP realm="{REALM}", error="use_dpop_nonce"'
        response[NONCE_HEADER] = error.nonce
    if error.status == 403:
        response["WWW-Authenticate"] = f'Bearer realm="{REALM}", error="insufficient_scope", scope="access.evaluate"'
    if error.status == 503:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return no_store(response)
