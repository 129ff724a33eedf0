"""How a caller of the decision endpoints proves itself: like a client at the token endpoint, or by a token of ours."""

from datetime import datetime

from django.conf import settings
from django.http import HttpRequest

from broker.access.callers import EnforcingClient, enforcing_client
from broker.access.errors import Unauthenticated
from broker.errors import BrokerError
from broker.registry.models import Client
from broker.throttling import TooMany
from broker.tokens.attempts import Attempt
from broker.tokens.bearer import BEARER, DPOP, read_presented_token
from broker.tokens.client_auth import authenticate_client
from broker.tokens.clients import is_in_use
from broker.tokens.errors import InsufficientScope, InvalidClient, InvalidToken, OAuthError, TooManyRequests, UseNonce
from broker.tokens.liveness import read_live_token
from broker.tokens.possession import check_possession
from broker.tokens.requests import ClientRequest

SCOPE = "access.evaluate"
RESOURCE = "access"
"""As settings.PROTECTED_RESOURCES names it."""


def audience() -> str:
    """The resource for which a token for the decision endpoints is issued (RFC 8707)."""
    return f"{settings.BROKER_BASE_URL}/{RESOURCE}"


def authenticate_caller(request: HttpRequest, *, attempt: Attempt, now: datetime) -> EnforcingClient:
    """The client that asks, with what it may ask about.

    Raises Unauthenticated, TooMany, and BrokerError(access.insufficient_scope, access.unavailable). Who could not be
    authenticated is recorded like a refusal at the token endpoint, with its reason.
    """
    header = request.META.get("HTTP_AUTHORIZATION", "")
    try:
        if header.partition(" ")[0].lower() in {BEARER, DPOP}:
            client = _holder_of_token(request, attempt=attempt, now=now)
        else:
            client = authenticate_client(ClientRequest(parameters={}, raw_authorization=header), attempt=attempt)
        if not is_in_use(client):
            raise InvalidClient("disabled", expected="a client in use", actual=client.client_id)
    except OAuthError as error:
        attempt.save_refusal(error)
        if isinstance(error, InsufficientScope):
            raise BrokerError("access.insufficient_scope", expected=error.expected, actual=error.actual) from error
        if isinstance(error, TooManyRequests):
            raise TooMany(error.left) from error
        if error.status == 503:
            raise BrokerError("access.unavailable", detail=error.reason) from error
        raise Unauthenticated(error.reason, needs_nonce=isinstance(error, UseNonce)) from error
    return enforcing_client(client)


def _holder_of_token(request: HttpRequest, *, attempt: Attempt, now: datetime) -> Client:
    """The client to which a live access token for these endpoints was issued, to itself and in nobody's name."""
    presented = read_presented_token(request)
    live = read_live_token(presented.raw, now=now, trace=attempt.trace, audience=audience())
    attempt.concerns(live.client)
    check_possession(presented, live.claims, now=now, trace=attempt.trace)
    if live.subject != live.client or live.actors:
        raise InvalidToken("subject", expected="a token of the client itself", actual="of somebody else")
    if SCOPE not in live.scopes:
        raise InsufficientScope("scope", expected=SCOPE, actual=" ".join(live.scopes))
    attempt.acts_for(live.client)
    return live.client
