"""Assertions in place of a secret (RFC 7521 section 4.2): which client is meant, and whose keys judge it.

A client with keys of its own signs itself (`private_key`); a workload brings its platform's token (`workload`).
"""

from datetime import datetime

from broker import limits
from broker.errors import BrokerError
from broker.keys import jose
from broker.registry.models import Client
from broker.registry.services import find_workload_clients
from broker.tokens.attempts import Attempt
from broker.tokens.client_methods import private_key, workload
from broker.tokens.clients import find_named_client
from broker.tokens.credentials import Presented, VerifiedCredential
from broker.tokens.errors import InvalidClient, InvalidRequest
from broker.tokens.requests import ClientRequest

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
METHOD = Client.Authentication.PRIVATE_KEY_JWT


def read_assertion(request: ClientRequest) -> Presented | None:
    """`client_assertion` with its type, and `client_id` where it is sent too."""
    form = request.parameters
    if "client_assertion" not in form and "client_assertion_type" not in form:
        return None
    for name in ("client_assertion", "client_assertion_type"):
        if name not in form:
            raise InvalidRequest("missing", detail=name, expected=name, actual="absent")
    if form["client_assertion_type"] != ASSERTION_TYPE:
        raise InvalidClient("assertion_type", expected=ASSERTION_TYPE, actual=form["client_assertion_type"][:200])
    return Presented((METHOD,), form.get("client_id", ""), form["client_assertion"])


def find_asserting_client(presented: Presented) -> Client | None:
    """The client that the form names, else the one whose assertion it claims to be. Raises InvalidClient."""
    if presented.raw_client_id:
        return find_named_client(presented.raw_client_id)
    try:
        issuer, subject = jose.unverified_parties(presented.raw_proof, max_bytes=limits.JWT_BEARER_BYTES)
    except BrokerError as error:
        raise InvalidClient(error.code, detail=error.detail, expected=error.expected, actual=error.actual) from error
    if issuer == subject:
        return find_named_client(subject)
    found = find_workload_clients(issuer, subject)
    if len(found) > 1:
        raise InvalidClient("ambiguous", expected="client_id, which tells them apart", actual=f"{len(found)} clients")
    return find_named_client(found[0]) if found else None


def verify(presented: Presented, client: Client | None, *, attempt: Attempt, now: datetime) -> VerifiedCredential:
    """The key or the workload behind the assertion. Raises InvalidClient."""
    if client is None:
        raise InvalidClient("unknown_client")
    judge = workload.verify_workload if client.workload else private_key.verify_own_assertion
    try:
        return judge(presented.raw_proof, client, trace=attempt.trace, now=now)
    except BrokerError as error:
        if isinstance(error, InvalidClient):
            raise
        raise InvalidClient(error.code, detail=error.detail, expected=error.expected, actual=error.actual) from error
