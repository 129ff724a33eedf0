"""grant_type=urn:ietf:params:oauth:grant-type:token-exchange (RFC 8693): one token for another, which never widens.

What the new token says follows from the claims of the presented ones, never from which parameters were sent or left
out. The rules of who may act are in broker.tokens.delegation.
"""

from datetime import datetime

from broker.errors import BrokerError
from broker.events import catalogue
from broker.once.services import AlreadyUsed, claim_once
from broker.registry.models import Client, Flow, Resource
from broker.tokens.attempts import Attempt
from broker.tokens.delegation import Delegation
from broker.tokens.errors import ActorTokenRefused, InvalidRequest, InvalidTarget, OAuthError, SubjectTokenRefused
from broker.tokens.grants.base import Proposal
from broker.tokens.grants.derived import propose_derived
from broker.tokens.liveness import LiveToken, read_live_token
from broker.tokens.requests import TokenRequest
from broker.tokens.subject_tokens import ACCESS_TOKEN, JWT, SAML2, SubjectToken, read_subject_token

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
NAME = Flow.Grant.TOKEN_EXCHANGE.value
KINDS = frozenset({Client.Kind.SERVICE, Client.Kind.SIGN_ON})
CONSUMES = True
OURS = (ACCESS_TOKEN, JWT)
"""Under which names an access token of ours may be asked for, or stand as an actor token."""


def propose(
    request: TokenRequest, *, client: Client, resource: Resource | None, attempt: Attempt, now: datetime
) -> Proposal:
    """Judge what is exchanged. Raises InvalidRequest for tokens that are not acceptable, and InvalidTarget."""
    issued_token_type = _requested_type(request)
    token = _read_subject(request, client=client, attempt=attempt, now=now)
    actor = _read_actor(request, attempt=attempt, now=now)
    return propose_derived(
        Delegation(token=token, actor=actor, client=client, resource=_target(resource, token), now=now),
        grant_type=NAME,
        scopes=request.scopes(),
        issued_token_type=issued_token_type,
        event=catalogue.TOKEN_EXCHANGED,
        evidence={"subject_token_type": request.parameters["subject_token_type"]},
        attempt=attempt,
        claim=lambda: _claim(token, request.parameters["subject_token_type"]),
    )


def _requested_type(request: TokenRequest) -> str:
    """RFC 8693 section 2.1: what we issue are access tokens, which are JWTs."""
    requested = request.parameters.get("requested_token_type", ACCESS_TOKEN)
    if requested not in OURS:
        raise InvalidRequest("requested_token_type", expected=" or ".join(OURS), actual=requested[:200])
    return requested


def _read_subject(request: TokenRequest, *, client: Client, attempt: Attempt, now: datetime) -> SubjectToken:
    raw, declared_type = request.required("subject_token"), request.required("subject_token_type")
    try:
        token = read_subject_token(raw, declared_type, client=client, now=now, trace=attempt.trace)
    except InvalidRequest:
        raise
    except BrokerError as error:
        # Unknown, expired, revoked and of another type are one answer outside; which it was stands in the event.
        raise SubjectTokenRefused(
            _reason(error), detail=error.detail, expected=error.expected, actual=error.actual
        ) from error
    attempt.connection = token.identity_provider.slug if token.identity_provider else ""
    return token


def _read_actor(request: TokenRequest, *, attempt: Attempt, now: datetime) -> LiveToken | None:
    """The actor token, which comes with its type; the type never comes alone (RFC 8693 section 2.1)."""
    if "actor_token" not in request.parameters and "actor_token_type" not in request.parameters:
        return None
    raw, declared_type = request.required("actor_token"), request.required("actor_token_type")
    if declared_type not in OURS:
        raise InvalidRequest("token_type", expected=" or ".join(OURS), actual=declared_type[:200])
    try:
        return read_live_token(raw, now=now, trace=attempt.trace)
    except BrokerError as error:
        raise ActorTokenRefused(
            _reason(error), detail=error.detail, expected=error.expected, actual=error.actual
        ) from error


def _claim(token: SubjectToken, declared_type: str) -> None:
    """A SAML assertion works once, here as at a sign-on (SAML V2.0 profiles, section 4.1.4.5)."""
    if declared_type != SAML2:
        return
    try:
        claim_once("saml-exchange", token.identifier, until=token.expires_at)
    except AlreadyUsed as error:
        raise SubjectTokenRefused("replayed", actual="an assertion that was used before") from error


def _target(resource: Resource | None, token: SubjectToken) -> Resource:
    """The resource that is named, else that of the token itself, which is then narrowed."""
    found = resource or (token.access.resource if token.access else None)
    if found is None:
        raise InvalidTarget("unnamed", expected="resource or audience", actual="neither")
    return found


def _reason(error: BrokerError) -> str:
    return error.reason if isinstance(error, OAuthError) else error.code
