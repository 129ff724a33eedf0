"""What every request meets: its trace id, its limits, its actor; and how answers are marked."""

import ipaddress
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

import structlog
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.module_loading import import_string

from broker import limits
from broker.actors import Actor, ActorKind
from broker.errors import BrokerError

GetResponse = Callable[[HttpRequest], HttpResponse]
log = structlog.get_logger(__name__)
TRACE_HEADER = "Countersign-Trace"
PROBLEM_MEDIA_TYPE = "application/problem+json"
PROBLEM_TYPE = "urn:countersign:refusal:"
CONTENT_LENGTH_DIGITS = 18
"""Longer numbers are nobody's length; Python refuses to read very long ones at all."""
BODY_BYTES = {
    "/saml/": limits.SAML_POST_BYTES,
    "/access/": limits.ACCESS_BODY_BYTES,
    "/scim/v2": sys.maxsize,  # which refuses by limits.SCIM_BODY_BYTES in SCIM's own words, before it reads anything
    "/admin/login/": limits.FORM_BYTES,
    "/admin/": limits.CONSOLE_POST_BYTES,
}
"""The greatest body by the first prefix of the path that fits; `limits.FORM_BYTES` elsewhere."""
ADDRESS_CHARS = 64
"""More than the longest way to write an address."""
_TRACE_KEY = "countersign.trace_id"


def no_store(response: HttpResponse) -> HttpResponse:
    """Mark an answer that holds a token or a person (RFC 6749 section 5.1)."""
    response["Cache-Control"] = "no-store"
    response["Pragma"] = "no-cache"
    return response


def client_address(request: HttpRequest) -> str:
    """The address of the caller: the hop that the outermost trusted proxy saw, else the peer itself."""
    peer = request.META.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXIES:
        chain = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
        if len(chain) >= settings.TRUSTED_PROXIES:
            peer = chain[-settings.TRUSTED_PROXIES]
    # A scope (fe80::1%eth0) means nothing here, and can be of any length.
    return _address(peer.partition("%")[0][:ADDRESS_CHARS])


@lru_cache(maxsize=4096)
def _address(text: str) -> str:
    """An IP address in its one way of writing, empty for what is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def trace_id_of(request: HttpRequest) -> str:
    """The trace id of this request: its own, or that of the attempt it belongs to (`adopt_trace_id`)."""
    return cast(str, request.META[_TRACE_KEY])


def adopt_trace_id(request: HttpRequest, trace_id: str) -> None:
    """This request is a further hop of an attempt that already has an id."""
    request.META[_TRACE_KEY] = trace_id
    structlog.contextvars.bind_contextvars(trace_id=trace_id)


def actor_from(request: HttpRequest) -> Actor:
    """The anonymous actor behind a request; whoever authenticates it says who it is (`Actor.acting_as`)."""
    return Actor(ActorKind.ANONYMOUS, "", client_address(request), trace_id_of(request))


def operator_actor(request: HttpRequest) -> Actor:
    """The signed-in operator behind a console request."""
    return actor_from(request).acting_as(ActorKind.OPERATOR, request.user.get_username())


class TraceMiddleware:
    """Gives each request a trace id, shows it in the answer, and logs one line with it: never a query, never a body."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.make_trace_id = import_string(settings.TRACE_ID_MAKER)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        structlog.contextvars.clear_contextvars()
        adopt_trace_id(request, self.make_trace_id())
        response = self.get_response(request)
        response[TRACE_HEADER] = trace_id_of(request)
        route = request.resolver_match.route if request.resolver_match else "(none)"
        log.info("request", method=request.method, route=route, status=response.status_code)
        return response


class LimitsMiddleware:
    """Refuses what is not addressed to us, or too large, before anything parses it (`broker.limits`)."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.refusal_page = import_string(settings.REFUSAL_PAGE)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            check_host(request)
            check_size(request)
        except BrokerError as error:
            return cast(HttpResponse, self.refusal_page(request, error))
        return self.get_response(request)


def check_host(request: HttpRequest) -> None:
    """Raises BrokerError when the Host is none of ours. Health probes come by address and say nothing of value."""
    if request.path.startswith("/health/"):
        return
    try:
        request.get_host()
    except DisallowedHost as error:
        raise BrokerError("request.host", expected=settings.ALLOWED_HOSTS) from error


def check_size(request: HttpRequest) -> None:
    """Raises BrokerError when the query, the cookies or the declared body are above their limits."""
    meta = request.META
    if len(meta.get("QUERY_STRING", "")) > limits.QUERY_BYTES:
        raise BrokerError("request.too_large", expected=f"query of at most {limits.QUERY_BYTES} bytes")
    if len(meta.get("HTTP_COOKIE", "")) > limits.COOKIE_BYTES:
        raise BrokerError("request.too_large", expected=f"cookies of at most {limits.COOKIE_BYTES} bytes")
    length = meta.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or len(length) > CONTENT_LENGTH_DIGITS:
        raise BrokerError("request.malformed", expected="Content-Length in digits")
    if meta.get("HTTP_TRANSFER_ENCODING"):
        raise BrokerError("request.malformed", expected="a Content-Length, not a transfer encoding")
    bound = next((size for prefix, size in BODY_BYTES.items() if request.path.startswith(prefix)), limits.FORM_BYTES)
    if int(length) > bound:
        code = "request.too_large"
        if request.path.startswith("/saml/"):
            code = "saml_idp.too_large" if request.path.startswith("/saml/idp/") else "saml.too_large"
        raise BrokerError(code, expected=f"at most {bound} bytes", actual=f"{length} bytes")


def refusal_json(error: BrokerError, *, trace_id: str) -> HttpResponse:
    """A refusal for a machine: `error` as OAuth's clients read it, our code, who can mend it, and the trace id."""
    refusal = error.refusal
    body = {
        "error": "invalid_request" if refusal.status < 500 else "temporarily_unavailable",
        "code": refusal.code,
        "error_description": refusal.meaning,
        "mender": refusal.mender.value,
        "remedy": refusal.remedy,
        "trace_id": trace_id,
    }
    return no_store(JsonResponse(body, status=refusal.status))


def problem_body(error: BrokerError, *, status: int, trace_id: str) -> dict[str, Any]:
    """A refusal as problem details (RFC 9457), with our code, who can mend it and how, and the trace id."""
    refusal = error.refusal
    return {
        "type": f"{PROBLEM_TYPE}{refusal.code}",
        "title": refusal.meaning,
        "status": status,
        "code": refusal.code,
        "mender": refusal.mender.value,
        "remedy": refusal.remedy,
        "trace_id": trace_id,
    }


def problem_json(error: BrokerError, *, trace_id: str) -> HttpResponse:
    """The answer with that body."""
    body = problem_body(error, status=error.refusal.status, trace_id=trace_id)
    return no_store(JsonResponse(body, status=error.refusal.status, content_type=PROBLEM_MEDIA_TYPE))
