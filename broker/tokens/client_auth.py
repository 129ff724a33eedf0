"""How a client proves who it is: a table of methods, of which a request uses exactly one (RFC 6749 section 2.3).

Serves the token, introspection, revocation and pushed-authorization endpoints alike.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from django.utils import timezone

from broker.keys import jose
from broker.registry.credential_uses import note_use
from broker.registry.models import Client
from broker.tokens.attempts import Attempt
from broker.tokens.client_methods import assertion, secret, tls
from broker.tokens.clients import find_named_client
from broker.tokens.credentials import Presented, VerifiedCredential
from broker.tokens.errors import InvalidClient, InvalidRequest
from broker.tokens.requests import ClientRequest

Verify = Callable[..., VerifiedCredential]
METHODS: Mapping[Client.Authentication, Verify] = {
    Client.Authentication.CLIENT_SECRET_BASIC: secret.verify,
    Client.Authentication.CLIENT_SECRET_POST: secret.verify,
    Client.Authentication.PRIVATE_KEY_JWT: assertion.verify,
    Client.Authentication.TLS_CLIENT_AUTH: tls.verify_name,
    Client.Authentication.SELF_SIGNED_TLS_CLIENT_AUTH: tls.verify_own,
}
"""The methods that are offered, as discovery lists them."""
READERS: tuple[Callable[[ClientRequest], Presented | None], ...] = (
    secret.read_basic,
    secret.read_post,
    assertion.read_assertion,
)
"""Where a proof can stand in a request. A certificate is on the connection, and proves nothing beside one of these."""
ASSERTION_ALGORITHMS = tuple(jose.FITS)
"""By which assertions may be signed, as discovery lists them."""


def authenticate_client(request: ClientRequest, *, attempt: Attempt) -> Client:
    """The client that sent the request; by which credential stands in `attempt.credential`.

    Raises InvalidClient, or InvalidRequest for two methods at once. Whatever of a client is wrong gets one answer;
    what it was stands in the event.
    """
    now = timezone.now()
    presented = _only_presented(request)
    client = _find_client(presented)
    if client is not None:
        attempt.concerns(client)
    credential = _verify(presented, client, attempt=attempt, now=now)
    if client is None:
        raise InvalidClient("unknown_client")
    if client.authentication != credential.method:
        raise InvalidClient("method", expected=client.authentication, actual=credential.method.value)
    if not client.enabled:
        raise InvalidClient("disabled", expected="an enabled client", actual="disabled")
    attempt.trace.check("token.client_authentication", passed=True, expected=client.authentication)
    attempt.acts_for(client)
    attempt.credential = credential
    note_use(client, credential.kind, credential.name, address=attempt.actor.address, now=now)
    return client


def _verify(presented: Presented, client: Client | None, *, attempt: Attempt, now: datetime) -> VerifiedCredential:
    """By the method that the client is registered for, when what it presented can stand for that.

    A secret is always compared, so that a client that does not exist costs as much as a wrong secret.
    """
    method = presented.methods[0]
    if client is not None and client.authentication in presented.methods:
        method = Client.Authentication(client.authentication)
    elif secret.verify is not METHODS[method]:
        if not presented.raw_proof:
            raise InvalidClient("no_credentials", expected="one method of client authentication", actual="client_id")
        if client is not None:
            raise InvalidClient("method", expected=client.authentication, actual=method.value)
    return METHODS[method](presented, client, attempt=attempt, now=now)


def _only_presented(request: ClientRequest) -> Presented:
    found = [presented for read in READERS if (presented := read(request)) is not None]
    if len(found) > 1:
        raise InvalidRequest("two_methods", expected="one method of client authentication", actual=len(found))
    presented = found[0] if found else tls.read_connection(request)
    if presented is None:
        raise InvalidClient("no_credentials", expected="one method of client authentication", actual="none")
    if request.parameters.get("client_id", presented.raw_client_id) != presented.raw_client_id:
        raise InvalidRequest("client_id", expected="one client", actual="another client_id in the form")
    return presented


def _find_client(presented: Presented) -> Client | None:
    if assertion.METHOD in presented.methods:
        return assertion.find_asserting_client(presented)
    return find_named_client(presented.raw_client_id)
