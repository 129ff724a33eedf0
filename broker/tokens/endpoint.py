"""The token endpoint: the phases that every grant shares, and the only way to a token (RFC 6749 section 3.2)."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from broker.directory.models import Person
from broker.events.grouped import record_durably
from broker.registry.models import Client
from broker.tokens.attempts import Attempt
from broker.tokens.authorizing import authorize_grant
from broker.tokens.client_auth import authenticate_client
from broker.tokens.clients import find_named_client
from broker.tokens.confirmation import check_bound, read_confirmation
from broker.tokens.errors import InvalidGrant, UnauthorizedClient, UnsupportedGrantType
from broker.tokens.grants import authorization_code, client_credentials, jwt_bearer, refresh_token, token_exchange
from broker.tokens.grants.base import GrantType, Permitted, Proposal, Taken
from broker.tokens.issuing import Authorization, Issued, write_tokens
from broker.tokens.requests import TokenRequest
from broker.tokens.services import revoke_grant
from broker.tokens.standing import NoLongerStands, Standing, check_standing
from broker.tokens.targets import read_target

GRANTS: Mapping[str, GrantType] = {
    "authorization_code": authorization_code,
    "refresh_token": refresh_token,
    "client_credentials": client_credentials,
    token_exchange.GRANT_TYPE: token_exchange,
    jwt_bearer.GRANT_TYPE: jwt_bearer,
}
"""The grants that are offered, as discovery lists them."""
NO_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Answer:
    """A token response, and what the client's owner should know though it was granted."""

    response: dict[str, Any] = field(repr=False)
    warnings: tuple[str, ...]
    is_traced: bool
    """Whether it belongs to a sign-on, whose trace goes on; what a service gets stands in its event."""


def respond(request: TokenRequest, *, attempt: Attempt) -> Answer:
    """The answer to a token request, or an OAuthError. Nothing is used up when nothing is issued."""
    attempt.begins("1. The grant is one that we offer.")
    grant_type = GRANTS.get(request.grant_type)
    if grant_type is None:
        raise UnsupportedGrantType("grant_type", expected=" or ".join(GRANTS), actual=request.grant_type[:100])
    attempt.begins("2. The client proves who it is.")
    client = authenticate_client(request, attempt=attempt)
    try:
        return issue(grant_type, request, client=client, attempt=attempt)
    except InvalidGrant as error:
        # In a commit of its own: a refusal must not undo the revocation.
        if error.revokes is not None:
            revoke_grant(error.revokes, reason=error.reason, actor=attempt.actor)
        raise


def issue(grant_type: GrantType, request: TokenRequest, *, client: Client, attempt: Attempt) -> Answer:
    """The phases after a client has proved who it is. Raises OAuthError."""
    now = timezone.now()
    attempt.begins("3. The grant is for clients of its kind.")
    if client.kind not in grant_type.KINDS:
        raise UnauthorizedClient("kind", expected=" or ".join(sorted(grant_type.KINDS)), actual=client.kind)
    attempt.begins("4. The client shows the key to which its tokens shall be bound.")
    confirmation = read_confirmation(request, client=client, attempt=attempt, now=now)
    attempt.begins("5. The resource that is asked for is one of ours.")
    resource = read_target(request)
    attempt.begins("6. What was presented is verified, and comes with the key that it is bound to.")
    proposal = grant_type.propose(request, client=client, resource=resource, attempt=attempt, now=now)
    check_bound(proposal.bound_to, confirmation)
    attempt.begins("7. Everybody behind it still stands.")
    _check_standing(proposal, client, attempt=attempt, now=now)
    attempt.begins("8. The flow register permits it; scopes only narrow.")
    permitted = authorize_grant(proposal, client=client, confirmation=confirmation, attempt=attempt, now=now)
    with transaction.atomic() if grant_type.CONSUMES else nullcontext():
        attempt.begins("9. It is used up, by a claim that only one of many wins, and the grant is there.")
        taken = proposal.take(permitted)
        attempt.begins("10. Tokens are written, and the book says so before they leave.")
        authorization = _authorization(proposal, permitted, taken)
        issued = write_tokens(authorization, client=client, now=now, trace=attempt.trace)
        _record(proposal, permitted, taken, issued, client=client, attempt=attempt)
    return Answer(issued.response, permitted.warnings, is_traced=taken.grant.participant_id is not None)


def _check_standing(proposal: Proposal, client: Client, *, attempt: Attempt, now: datetime) -> None:
    # What was presented may have brought news of the registry since the client authenticated.
    known = find_named_client(client.client_id)
    if known is None or known.pk != client.pk:
        raise InvalidGrant("client")
    standing = Standing(
        client=known,
        subject=proposal.subject,
        session=proposal.session,
        identity_provider=proposal.identity_provider,
        is_offline=proposal.outlives_session,
        actors=proposal.actors,
        now=now,
        given_at=now,
    )
    try:
        check_standing(standing, trace=attempt.trace)
    except NoLongerStands as error:
        raise InvalidGrant(str(error)) from error


def _authorization(proposal: Proposal, permitted: Permitted, taken: Taken) -> Authorization:
    return Authorization(
        grant=taken.grant,
        subject=proposal.subject,
        scopes=permitted.scopes,
        sign_on_scopes=proposal.sign_on_scopes,
        resource=proposal.resource,
        not_after=min(taken.grant.expires_at, permitted.ends_at or NO_END, proposal.not_after or NO_END),
        actors=proposal.actors,
        confirmation=permitted.confirmation,
        nonce=proposal.nonce,
        refresh_token=taken.refresh_token,
        issued_token_type=proposal.issued_token_type,
    )


def _record(
    proposal: Proposal, permitted: Permitted, taken: Taken, issued: Issued, *, client: Client, attempt: Attempt
) -> None:
    """The event that explains the token: which flow, rule and key made it (`issue_token --explain` says the same)."""
    details: dict[str, Any] = {"scopes": list(permitted.scopes), "jti": issued.jti, "kid": issued.kid}
    if isinstance(proposal.subject, Person):
        details["person"] = str(proposal.subject.pk)
    if proposal.resource is not None:
        details |= {"client": client.client_id, "resource": proposal.resource.identifier, "flow": permitted.flow_id}
    if proposal.actors:
        details["actors"] = [actor["client_id"] for actor in proposal.actors]
    if proposal.impersonation:
        details["impersonation"] = True
    details |= proposal.evidence
    record_durably(
        proposal.event,
        actor=attempt.actor,
        subject=("grant", taken.grant.pk),
        connection=attempt.connection,
        application=attempt.application,
        **details,
    )
