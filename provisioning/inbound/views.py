"""/scim/v2: one base URL; the bearer token names the source (RFC 7644)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, RawPostDataException, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from scim2_models import InvalidSyntaxException, PayloadTooLargeException
from scim2_server.errors import UnsupportedMediaTypeException
from scim2_server.requests import ScimRequest
from scim2_server.responses import SCIM_MEDIA_TYPE, ScimResponse
from scim2_server.routing import match
from scim2_server.service import is_json_media_type

from broker import limits
from broker.actors import ActorKind
from broker.errors import BrokerError
from broker.events import catalogue
from broker.events.services import record
from broker.http import actor_from, no_store
from broker.throttling import Budget, TooMany, throttle
from broker.traces.bounded import may_be_written
from provisioning.inbound.bodies import Body, read_body
from provisioning.inbound.desk import UNKNOWN_HEADER, Desk, as_json
from provisioning.inbound.errors import Told, told
from provisioning.inbound.filters import as_identifier, check_length
from provisioning.inbound.journal import IGNORED, READS, Asked, Journal
from provisioning.inbound.tokens import find_caller, note_use

log = structlog.get_logger(__name__)
BASE = "/scim/v2"
BUDGET = Budget("scim", limits.SCIM_REQUESTS)
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
CHALLENGE = 'Bearer realm="SCIM"'


@csrf_exempt
def scim(request: HttpRequest, path: str = "") -> HttpResponse:
    """Every address below /scim/v2: who calls, how often, then what."""
    actor = actor_from(request)
    try:
        caller = find_caller(request.headers.get("Authorization", ""), now=timezone.now())
    except BrokerError as error:
        if may_be_written(actor, error.code):
            record(catalogue.SCIM_REFUSED, actor=actor, code=error.code, reason=error.detail)
        return _refused(told(error), actor.trace_id)
    except DatabaseError as error:
        log.warning("scim without database", error=type(error).__name__)
        return _refused(told(BrokerError("scim.unavailable")), actor.trace_id)
    actor = actor.acting_as(ActorKind.CLIENT, caller.source.authority)
    try:
        left = throttle.spend(BUDGET, caller.source.slug)
    except TooMany as error:
        response = _refused(told(BrokerError("scim.too_many", expected=error.expected)), actor.trace_id)
        response["Retry-After"] = str(max(1, error.left.resets_in))
        return _headed(response, error.left.headers())
    note_use(caller.token, address=actor.address, now=timezone.now())
    journal = Journal(caller.source, actor=actor, token=caller.token)
    journal.begin(_asked(request, path, None))
    try:
        response = _serve(request, path, journal)
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller reads a SCIM error and the journal has it
        response = _refuse(error, journal)
    return _headed(response, left.headers())


def _serve(request: HttpRequest, path: str, journal: Journal) -> HttpResponse:
    method = str(request.method)
    match(method, path)  # what is not there, or is not to be done, is refused before the body is read
    body = _body(request, path) if method in WITH_BODY else Body()
    asked = _asked(request, path, body.sent)
    journal.begin(asked)
    for name in body.ignored:
        journal.effects.note(name[:200], IGNORED)
    check_length(request.GET.get("filter", ""))
    desk = Desk(journal.source, journal=journal, body=body)
    response = desk.handle(
        ScimRequest(
            method=method,
            base_url=f"{settings.BROKER_BASE_URL}{BASE}",
            path=path or "/",
            query=_query(request),
            headers=dict(request.headers.items()),
            body=body.content,
        )
    )
    if asked.method in READS:
        journal.write_done(status=response.status)
    answer = _answered(response)
    if desk.storage.groups.unknown:
        answer[UNKNOWN_HEADER] = str(len(desk.storage.groups.unknown))
    return answer


def _body(request: HttpRequest, path: str) -> Body:
    """Raises PayloadTooLargeException, UnsupportedMediaTypeException, InvalidSyntaxException, MutabilityException."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > limits.SCIM_BODY_BYTES:
        raise PayloadTooLargeException(detail=f"A body has at most {limits.SCIM_BODY_BYTES} bytes")
    if request.content_type and not is_json_media_type(request.content_type):
        raise UnsupportedMediaTypeException
    try:
        raw = request.body
    except (UnreadablePostError, RawPostDataException) as error:
        raise InvalidSyntaxException(detail="The body ended early") from error
    return read_body(raw, method=str(request.method), path=path)


def _query(request: HttpRequest) -> dict[str, str]:
    """Each parameter once. Raises InvalidSyntaxException."""
    query: dict[str, str] = {}
    for name, values in request.GET.lists():
        if len(values) > 1:
            raise InvalidSyntaxException(detail=f"The parameter {name[:100]} stands twice")
        query[name] = str(values[0])
    return query


def _asked(request: HttpRequest, path: str, sent: Any) -> Asked:
    """What the journal calls this request."""
    steps = path.strip("/").split("/")
    method = str(request.method)
    if steps[-1] == ".search":
        method = "SEARCH"
    # Whatever else is asked for may name a person.
    subject = steps[1] if len(steps) > 1 and as_identifier(steps[1]) else ""
    return Asked(method, steps[0], subject, sent=sent or dict(request.GET.items()))


def _refuse(error: Exception, journal: Journal) -> HttpResponse:
    """The refusal as it is answered; the journal has it too, unless that cannot be written now."""
    refusal = told(error)
    if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR and refusal.code != "scim.not_supported":
        log.error("scim request failed", trace_id=journal.actor.trace_id, error=type(error).__name__, exc_info=error)
    try:
        journal.write_refused(status=refusal.status, code=refusal.code, detail=refusal.reason)
    except DatabaseError as failure:
        log.warning("journal not written", error=type(failure).__name__)
    response = _refused(refusal, journal.actor.trace_id)
    if allowed := getattr(error, "allowed", None):
        response["Allow"] = ", ".join(allowed)
    return response


def _refused(refusal: Told, trace_id: str) -> HttpResponse:
    response = _answered(ScimResponse(HTTPStatus(refusal.status), dict(refusal.body(trace_id=trace_id))))
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = CHALLENGE
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = "30"
    return response


def _answered(response: ScimResponse) -> HttpResponse:
    headers = dict(response.headers)
    content_type = headers.pop("Content-Type", SCIM_MEDIA_TYPE)
    answer = HttpResponse(as_json(response), status=int(response.status), content_type=content_type)
    if response.body is None:
        del answer["Content-Type"]
    return no_store(_headed(answer, headers))


def _headed(response: HttpResponse, headers: Mapping[str, str]) -> HttpResponse:
    for name, value in headers.items():
        response[name] = value
    return response
