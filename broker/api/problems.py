"""Every refusal as problem details (RFC 9457), with our stable code, the trace id, and who can mend it."""

import traceback
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404
from django.http.request import UnreadablePostError
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from broker import limits
from broker.api.authentication import PATH, attempt_of
from broker.errors import BrokerError
from broker.http import PROBLEM_MEDIA_TYPE, problem_body, trace_id_of
from broker.registry.values import BadValue
from broker.tokens.dpop import NONCE_HEADER, fresh_nonce
from broker.tokens.errors import InvalidProof, OAuthError, TooManyRequests, UseNonce
from broker.tokens.protected_resources import metadata_address

log = structlog.get_logger(__name__)
RETRY_AFTER_SECONDS = 5


_CODES: Mapping[type[Exception], str] = {
    Http404: "api.not_found",
    exceptions.NotFound: "api.not_found",
    exceptions.ParseError: "api.malformed",
    UnreadablePostError: "api.malformed",
    exceptions.UnsupportedMediaType: "api.media_type",
    exceptions.NotAcceptable: "api.not_acceptable",
    exceptions.MethodNotAllowed: "request.method",
}
"""What Django and its REST framework raise, as we call it."""


class Problem(BrokerError):
    """A refusal of this API. `errors` are (JSON pointer, what is wrong there)."""

    def __init__(
        self,
        code: str,
        *,
        errors: tuple[tuple[str, str], ...] = (),
        detail: str = "",
        expected: object = "",
        actual: object = "",
    ) -> None:
        super().__init__(code, detail=detail, expected=expected, actual=actual)
        self.errors = errors


def answer_problem(raised: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's exception handler: also what nobody foresaw is a problem, and tells nothing of itself."""
    request: Request = context["request"]
    error = _understood(raised)
    attempt = attempt_of(request)
    if isinstance(error, OAuthError) and attempt is not None:
        try:
            attempt.save_refusal(error)
        except DatabaseError as unwritten:
            error = _understood(unwritten)
    response = Response(_body(error, request), status=_status(error), content_type=PROBLEM_MEDIA_TYPE)
    for name, value in _headers(error):
        response[name] = value
    return response


def _understood(raised: Exception) -> BrokerError:
    if isinstance(raised, BrokerError):
        return raised
    if isinstance(raised, BadValue):
        return Problem("api.invalid", errors=(("", str(raised)),))
    if isinstance(raised, exceptions.ValidationError):
        return Problem("api.invalid", errors=tuple(islice(_flatten(raised.detail), limits.API_ERRORS)))
    if isinstance(raised, OperationalError | InterfaceError):
        log.error("database", error=type(raised).__name__)
        return BrokerError("service.unavailable")
    code = next((code for kind, code in _CODES.items() if isinstance(raised, kind)), "")
    if code:
        return Problem(code, detail=str(raised))
    # The text of a fault may hold what somebody sent, so the log has its kind and its place only.
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(raised.__traceback__)]
    log.error("fault", error=type(raised).__name__, places=places)
    return BrokerError("service.fault")


def _status(error: BrokerError) -> int:
    if isinstance(error, InvalidProof | UseNonce):
        return 401
    return error.status if isinstance(error, OAuthError) else error.refusal.status


def _body(error: BrokerError, request: Request) -> dict[str, Any]:
    body = problem_body(error, status=_status(error), trace_id=trace_id_of(request._request))
    if isinstance(error, Problem) and error.errors:
        body["errors"] = [{"pointer": pointer, "detail": detail} for pointer, detail in error.errors]
    return body


def _headers(error: BrokerError) -> Iterator[tuple[str, str]]:
    status = _status(error)
    if isinstance(error, TooManyRequests):
        yield "Retry-After", str(error.left.resets_in)
    elif status == 503:
        yield "Retry-After", str(RETRY_AFTER_SECONDS)
    if isinstance(error, OAuthError) and status in (401, 403):
        scheme = "DPoP" if isinstance(error, InvalidProof | UseNonce) else "Bearer"
        parts = [f'{scheme} realm="{settings.BROKER_BASE_URL}"', f'resource_metadata="{metadata_address(PATH)}"']
        if error.reason != "absent":
            parts.append(f'error="{error.error}"')
        yield "WWW-Authenticate", ", ".join(parts)
    if isinstance(error, UseNonce):
        yield NONCE_HEADER, fresh_nonce(now=timezone.now())


def _flatten(detail: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """DRF's nested errors as (JSON pointer, text)."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            part = "" if name == "non_field_errors" else "/" + str(name).replace("~", "~0").replace("/", "~1")
            yield from _flatten(inner, f"{pointer}{part}")
    elif isinstance(detail, list):
        for place, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            yield from _flatten(inner, f"{pointer}/{place}" if nested else pointer)
    else:
        yield pointer, str(detail)
