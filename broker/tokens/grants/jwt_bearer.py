"""grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer (RFC 7523 section 2.1): a person's token for an assertion.

The assertion is a JWT that an identity provider made for us: its audience is our issuer. What comes of it names the
client as actor, unless the flow says otherwise, as an exchange does. There is no refresh token: who needs another
access token asks the identity provider again (RFC 7521 section 4.1).
"""

from datetime import datetime

from broker.errors import BrokerError
from broker.events import catalogue
from broker.once.services import AlreadyUsed, claim_once
from broker.registry.models import Client, Flow, Resource
from broker.tokens.attempts import Attempt
from broker.tokens.delegation import Delegation
from broker.tokens.errors import InvalidGrant, InvalidRequest, InvalidTarget
from broker.tokens.grants.base import Proposal
from broker.tokens.grants.derived import propose_derived
from broker.tokens.requests import TokenRequest
from broker.tokens.subject_tokens import SubjectToken, read_foreign_token

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
NAME = Flow.Grant.JWT_BEARER.value
KINDS = frozenset({Client.Kind.SERVICE, Client.Kind.SIGN_ON})
CONSUMES = True


def propose(
    request: TokenRequest, *, client: Client, resource: Resource | None, attempt: Attempt, now: datetime
) -> Proposal:
    """Judge an assertion. Raises InvalidGrant for one that is not good, and InvalidTarget."""
    raw = request.required("assertion")
    if resource is None:
        raise InvalidTarget("unnamed", expected="resource or audience", actual="neither")
    try:
        token = read_foreign_token(raw, GRANT_TYPE, now=now, trace=attempt.trace)
        attempt.connection = token.identity_provider.slug if token.identity_provider else ""
        return propose_derived(
            Delegation(token=token, actor=None, client=client, resource=resource, now=now),
            grant_type=NAME,
            scopes=request.scopes(),
            event=catalogue.TOKEN_ISSUED,
            evidence={},
            attempt=attempt,
            claim=lambda: _claim(token),
        )
    except InvalidRequest as error:
        raise InvalidGrant(error.reason, detail=error.detail, actual=error.actual) from error
    except BrokerError as error:
        raise InvalidGrant(error.code, detail=error.detail, actual=error.actual) from error


def _claim(token: SubjectToken) -> None:
    """An assertion with an id works once (RFC 7523 section 3, item 7)."""
    if not token.identifier:
        return
    try:
        claim_once("jwt-bearer", token.identifier, until=token.expires_at)
    except AlreadyUsed as error:
        raise InvalidGrant("replayed", actual="an assertion that was used before") from error
