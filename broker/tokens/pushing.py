"""Pushed authorization requests (RFC 9126): a client sends its request to us, and its browser brings a name of it."""

from typing import Any

from django.utils import timezone

from broker import limits
from broker.errors import BrokerError
from broker.registry.models import Client
from broker.tokens.attempts import Attempt
from broker.tokens.authorization import judge
from broker.tokens.authorization_checks import RawRequest
from broker.tokens.client_auth import authenticate_client
from broker.tokens.confirmation import KEY, read_confirmation
from broker.tokens.errors import InvalidRequest, OAuthError
from broker.tokens.pushed_requests import keep_pushed
from broker.tokens.requests import ClientRequest

CREDENTIALS = frozenset({"client_secret", "client_assertion", "client_assertion_type"})
"""What proves the client is used up here, and not kept."""


def push(request: ClientRequest, *, attempt: Attempt) -> dict[str, Any]:
    """Judge and keep an authorization request (RFC 9126 section 2). Raises OAuthError with what is wrong with it.

    It is judged by the checks of the authorization endpoint, so that what is kept cannot fail by its parameters later.
    """
    client = authenticate_client(request, attempt=attempt)
    parameters = {name: value for name, value in request.parameters.items() if name not in CREDENTIALS}
    if "request_uri" in parameters:
        raise InvalidRequest("request_uri", detail="request_uri", expected="absent", actual="present")
    now = timezone.now()
    parameters["client_id"] = client.client_id
    _bind(parameters, request, client=client, attempt=attempt)
    try:
        judge(
            RawRequest({name: [value] for name, value in parameters.items()}, client, is_pushed=True),
            collector=attempt.trace,
        )
    except OAuthError:
        raise
    except BrokerError as error:
        cause = error.__cause__
        if isinstance(cause, OAuthError):
            # What the application would be told by redirect, it is told at once.
            raise cause from error
        raise InvalidRequest(
            "refused", code=error.code, detail=error.detail, expected=error.expected, actual=error.actual
        ) from error
    reference = keep_pushed(parameters, client=client, now=now)
    return {"request_uri": reference, "expires_in": int(limits.PUSHED_REQUEST_LIFETIME.total_seconds())}


def _bind(parameters: dict[str, str], request: ClientRequest, *, client: Client, attempt: Attempt) -> None:
    """A proof at this endpoint names the key that shall redeem the code (RFC 9449 section 10.1)."""
    if not request.raw_proof:
        return
    shown = read_confirmation(request, client=client, attempt=attempt, now=timezone.now())[KEY]
    if parameters.setdefault("dpop_jkt", shown) != shown:
        raise InvalidRequest("dpop_jkt", detail="dpop_jkt", expected=shown, actual=parameters["dpop_jkt"][:100])
