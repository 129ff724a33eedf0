"""How a caller of the decision endpoints proves itself: like a client at the token endpoint."""

from django.http import HttpRequest

from broker.access.callers import EnforcingClient, enforcing_client
from broker.errors import BrokerError
from broker.tokens.attempts import Attempt
from broker.tokens.client_auth import authenticate_client
from broker.tokens.errors import OAuthError
from broker.tokens.requests import ClientRequest


def authenticate_caller(request: HttpRequest, *, attempt: Attempt) -> EnforcingClient:
    """The client that asks, with what it may ask about. Raises BrokerError("access.unauthenticated").

    Who could not be authenticated is recorded like a refusal at the token endpoint, with its reason.
    """
    try:
        credentials = ClientRequest(parameters={}, raw_authorization=request.headers.get("Authorization", ""))
        client = authenticate_client(credentials, attempt=attempt)
    except OAuthError as error:
        attempt.save_refusal(error)
        raise BrokerError(
            "access.unauthenticated", detail=error.reason, expected=error.expected, actual=error.actual
        ) from error
    return enforcing_client(client)
