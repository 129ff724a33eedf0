"""client_secret_basic and client_secret_post (RFC 6749 section 2.3.1)."""

import base64
import binascii
from datetime import datetime
from urllib.parse import unquote_plus

from broker import limits
from broker.errors import BrokerError
from broker.registry.models import Client, CredentialKind
from broker.registry.secrets import check_secret, has_slow_secret
from broker.throttling import Budget, TooMany, throttle
from broker.tokens.attempts import Attempt
from broker.tokens.credentials import Presented, VerifiedCredential
from broker.tokens.errors import InvalidClient, TooManyRequests
from broker.tokens.requests import ClientRequest

FAILURES = Budget("client-authentication", limits.FAILED_AUTHENTICATIONS)
BASIC, POST = Client.Authentication.CLIENT_SECRET_BASIC, Client.Authentication.CLIENT_SECRET_POST


def read_basic(request: ClientRequest) -> Presented | None:
    """HTTP Basic, each half form-encoded before they were joined."""
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
    return Presented((BASIC,), client_id, secret)


def read_post(request: ClientRequest) -> Presented | None:
    """`client_id` and `client_secret` in the form."""
    if "client_secret" not in request.parameters:
        return None
    return Presented((POST,), request.parameters.get("client_id", ""), request.parameters["client_secret"])


def verify(presented: Presented, client: Client | None, *, attempt: Attempt, now: datetime) -> VerifiedCredential:  # noqa: ARG001 - all methods share one signature
    """The secret that was presented. A client that does not exist costs the same work.

    Where each guess costs us long work, who guessed wrong too often is answered without it. Raises InvalidClient,
    TooManyRequests.
    """
    key = f"{client.client_id} {attempt.actor.address}" if client is not None and has_slow_secret(client) else ""
    try:
        secret = check_secret(client, presented.raw_proof, is_quick=bool(key) and throttle.is_spent(FAILURES, key))
    except BrokerError as error:
        if key:
            _note_failure(key)
        # Both kinds of failure are one answer outside; which it was stands in the event.
        reason = "unknown_client" if client is None else "secret"
        detail = "an id and a secret sent by HTTP Basic are form-decoded (RFC 6749 section 2.3.1)"
        raise InvalidClient(reason, detail=detail, expected=error.expected, actual=error.actual) from error
    return VerifiedCredential(presented.methods[0], CredentialKind.SECRET, str(secret.pk))


def _note_failure(key: str) -> None:
    """Raises TooManyRequests."""
    try:
        throttle.spend(FAILURES, key)
    except TooMany as spent:
        raise TooManyRequests(spent.left) from spent
