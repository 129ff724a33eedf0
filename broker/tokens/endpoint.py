"""The token endpoint: the phases that every grant shares, and the only way to a token (RFC 6749 section 3.2)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from broker.events.services import record
from broker.registry.models import Client
from broker.tokens.attempts import Attempt
from broker.tokens.client_auth import authenticate_client
from broker.tokens.errors import InvalidGrant, UnauthorizedClient, UnsupportedGrantType
from broker.tokens.grants import authorization_code, refresh_token
from broker.tokens.grants.base import Authorization, GrantType
from broker.tokens.issuing import write_tokens
from broker.tokens.requests import TokenRequest
from broker.tokens.services import revoke_grant
from broker.tokens.standing import NoLongerStands, Standing, check_standing

GRANTS: Mapping[str, GrantType] = {
    "authorization_code": authorization_code,
    "refresh_token": refresh_token,
}
"""The grants that are offered, as discovery lists them."""


def respond(request: TokenRequest, *, attempt: Attempt) -> dict[str, Any]:
    """The token response to a request, or an OAuthError. Nothing is used up when nothing is issued."""
    # 1. The grant is one that we offer.
    grant_type = GRANTS.get(request.grant_type)
    if grant_type is None:
        raise UnsupportedGrantType("grant_type", expected=" or ".join(GRANTS), actual=request.grant_type[:100])
    # 2. The client proves who it is.
    client = authenticate_client(request, attempt=attempt)
    # 3. The client is one that people sign on to.
    if client.kind != Client.Kind.SIGN_ON:
        raise UnauthorizedClient("kind", expected=Client.Kind.SIGN_ON.value, actual=client.kind)
    try:
        return _issue(grant_type, request, client=client, attempt=attempt)
    except InvalidGrant as error:
        # After the rollback of what was refused, in a commit of its own: a refusal must not undo the revocation.
        if error.revokes is not None:
            revoke_grant(error.revokes, reason=error.reason, actor=attempt.actor)
        raise


@transaction.atomic
def _issue(grant_type: GrantType, request: TokenRequest, *, client: Client, attempt: Attempt) -> dict[str, Any]:
    now = timezone.now()
    # 4. The grant is found, checked and used up.
    authorization = grant_type.authorize(request, client=client, attempt=attempt, now=now)
    # 5. Everybody behind it still stands.
    _check_standing(authorization, client, attempt=attempt, now=now)
    # 6. Tokens are written, and the book says so before they leave.
    response = write_tokens(authorization, client=client, now=now, trace=attempt.trace)
    record(
        authorization.event,
        actor=attempt.actor,
        subject=("grant", authorization.grant.pk),
        connection=attempt.connection,
        application=attempt.application,
        person=str(authorization.grant.person_id),
        scopes=list(authorization.scopes),
    )
    return response


def _check_standing(authorization: Authorization, client: Client, *, attempt: Attempt, now: datetime) -> None:
    session, is_offline = authorization.grant.session, authorization.outlives_session
    try:
        check_standing(Standing(client=client, session=session, is_offline=is_offline, now=now), trace=attempt.trace)
    except NoLongerStands as error:
        raise InvalidGrant(str(error)) from error
