"""The endpoints of this room, and discovery: plain views, each one service long."""

import hashlib
import json
from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import get_conditional_response
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from broker import limits
from broker.throttling import Budget
from broker.tokens import endpoint, introspection, pushing, revocation, services
from broker.tokens.answers import answered
from broker.tokens.attempts import Attempt
from broker.tokens.bearer import read_presented_token
from broker.tokens.discovery import describe_provider
from broker.tokens.protected_resources import describe_resource
from broker.tokens.requests import ClientRequest, TokenRequest

FLOW_HEADER = "Countersign-Flow"
"""What the flow register has to say of a request that it let through: an end that nears, a flow that is missing."""


# A client authenticates itself in each request; there is no cookie that a foreign page could ride on.
@csrf_exempt
@answered("token request", methods=("POST",), challenge="Basic", budget=Budget("token", limits.TOKEN_REQUESTS))
def token(request: HttpRequest, attempt: Attempt) -> HttpResponse:
    """POST /oauth/token (RFC 6749 section 3.2)."""
    answer = endpoint.respond(TokenRequest.parse(request), attempt=attempt)
    if answer.is_traced:
        attempt.save_success()
    response = JsonResponse(answer.response)
    if answer.warnings:
        response[FLOW_HEADER] = ", ".join(answer.warnings)
    return response


@csrf_exempt
@answered("userinfo request", methods=("GET", "POST"), challenge="Bearer", resource="oauth/userinfo")
def userinfo(request: HttpRequest, attempt: Attempt) -> HttpResponse:
    """GET or POST /oauth/userinfo (OpenID Connect Core 5.3). A success leaves no trace: it changes nothing."""
    return JsonResponse(services.answer_userinfo(read_presented_token(request), attempt=attempt))


@csrf_exempt
@answered(
    "introspection request",
    methods=("POST",),
    challenge="Basic",
    budget=Budget("introspection", limits.INTROSPECTION_REQUESTS),
)
def introspect(request: HttpRequest, attempt: Attempt) -> HttpResponse:
    """POST /oauth/introspect (RFC 7662). A success leaves no trace and no event: it changes nothing."""
    return JsonResponse(introspection.introspect(ClientRequest.parse(request), attempt=attempt))


@csrf_exempt
@answered(
    "revocation request",
    methods=("POST",),
    challenge="Basic",
    budget=Budget("revocation", limits.REVOCATION_REQUESTS),
)
def revoke(request: HttpRequest, attempt: Attempt) -> HttpResponse:
    """POST /oauth/revoke (RFC 7009). The answer is the same whether there was something to revoke or not."""
    revocation.revoke(ClientRequest.parse(request), attempt=attempt)
    return HttpResponse()


@csrf_exempt
@answered(
    "pushed authorization request",
    methods=("POST",),
    challenge="Basic",
    budget=Budget("par", limits.PUSHED_REQUESTS),
)
def par(request: HttpRequest, attempt: Attempt) -> HttpResponse:
    """POST /oauth/par (RFC 9126 section 2)."""
    return JsonResponse(pushing.push(ClientRequest.parse(request), attempt=attempt), status=201)


@require_safe
def discovery(request: HttpRequest) -> HttpResponse:
    """GET /.well-known/openid-configuration and /.well-known/oauth-authorization-server; no database is needed."""
    return _published(request, describe_provider())


@require_safe
def protected_resource(request: HttpRequest, resource: str) -> HttpResponse:
    """GET /.well-known/oauth-protected-resource/<path> (RFC 9728 section 3); no database is needed."""
    described = describe_resource(resource)
    if described is None:
        raise Http404
    return _published(request, described)


def _published(request: HttpRequest, document: dict[str, Any]) -> HttpResponse:
    body = json.dumps(document, indent=1).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    response = HttpResponse(body, content_type="application/json")
    response["ETag"] = etag
    response["Cache-Control"] = f"public, max-age={int(limits.DISCOVERY_MAX_AGE.total_seconds())}"
    return cast(HttpResponse, get_conditional_response(request, etag=etag, response=response))
