"""How a client proves who it is: a table of methods, of which a request uses exactly one (RFC 6749 section 2.3)."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from broker.errors import BrokerError
from broker.registry.models import Client
from broker.registry.secrets import check_secret
from broker.tokens.attempts import Attempt
from broker.tokens.clients import find_named_client
from broker.tokens.errors import InvalidClient, InvalidRequest
from broker.tokens.requests import ClientRequest


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client presented, by which method. Unverified."""

    method: Client.Authentication
    client_id: str
    secret: str = field(repr=False)


def read_basic(request: ClientRequest) -> Credentials | None:
    """HTTP Basic, each half form-encoded before they were joined (RFC 6749 section 2.3.1)."""
    if not request.raw_authorization:
        return None
    scheme, _, encoded = request.raw_authorization.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("scheme", expected="Basic", actual=scheme[:20])
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        client_id, secret = unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError) as error:
        raise InvalidClient("malformed", expected="base64 of id:secret", actual=type(error).__name__) from error
    if not colon:
        raise InvalidClient("malformed", expected="base64 of id:secret", actual="no colon")
    return Credentials(Client.Authentication.CLIENT_SECRET_BASIC, client_id, secret)


def read_post(request: ClientRequest) -> Credentials | None:
    """`client_id` and `client_secret` in the form."""
    if "client_secret" not in request.parameters:
        return None
    method = Client.Authentication.CLIENT_SECRET_POST
    return Credentials(method, request.parameters.get("client_id", ""), request.parameters["client_secret"])


METHODS: Mapping[Client.Authentication, Callable[[ClientRequest], Credentials | None]] = {
    Client.Authentication.CLIENT_SECRET_BASIC: read_basic,
    Client.Authentication.CLIENT_SECRET_POST: read_post,
}
"""The methods that are offered, as discovery lists them."""


def authenticate_client(request: ClientRequest, *, attempt: Attempt) -> Client:
    """The client that sent the request. Raises InvalidClient, or InvalidRequest for two methods at once.

    A client that does not exist costs the same work and gets the same answer as a wrong secret.
    """
    credentials = _only_credentials(request)
    client = find_named_client(credentials.client_id)
    if client is not None:
        attempt.concerns(client)
    try:
        check_secret(client, credentials.secret)
    except BrokerError as error:
        # Both kinds of failure are one answer outside; which it was stands in the event.
        reason = "unknown_client" if client is None else "secret"
        detail = "an id and a secret sent by HTTP Basic are form-decoded (RFC 6749 section 2.3.1)"
        raise InvalidClient(reason, detail=detail, expected=error.expected, actual=error.actual) from error
    if client is None:
        raise InvalidClient("unknown_client")
    if client.authentication != credentials.method:
        raise InvalidClient("method", expected=client.authentication, actual=credentials.method.value)
    if not client.enabled:
        raise InvalidClient("disabled", expected="an enabled client", actual="disabled")
    attempt.trace.check("token.client_authentication", passed=True, expected=client.authentication)
    attempt.acts_for(client)
    return client


def _only_credentials(request: ClientRequest) -> Credentials:
    if "client_assertion" in request.parameters or "client_assertion_type" in request.parameters:
        expected = " or ".join(method.value for method in METHODS)
        raise InvalidClient("method", expected=expected, actual="a client assertion")
    presented = [credentials for read in METHODS.values() if (credentials := read(request)) is not None]
    if len(presented) > 1:
        raise InvalidRequest("two_methods", expected="one method of client authentication", actual=len(presented))
    if not presented:
        raise InvalidClient("no_credentials", expected="one method of client authentication", actual="none")
    credentials = presented[0]
    if request.parameters.get("client_id", credentials.client_id) != credentials.client_id:
        raise InvalidRequest("client_id", expected="one client", actual="another client_id in the form")
    return credentials
