"""grant_type=authorization_code (RFC 6749 section 4.1.3, RFC 7636 section 4.6).

A code works once. When it comes a second time, somebody else may hold it, so everything that came of it is revoked
(RFC 6749 section 4.1.2, RFC 9700 section 4.5). Of two that come at the same moment one wins; the other is the second
use and revokes: no honest client redeems a code twice.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.crypto import constant_time_compare

from broker import crypto, limits
from broker.events import catalogue
from broker.registry.models import Client, Resource
from broker.tokens.attempts import Attempt
from broker.tokens.authorization import CODE_PURPOSE
from broker.tokens.checks import run_checks
from broker.tokens.confirmation import KEY
from broker.tokens.errors import InvalidGrant, InvalidTarget
from broker.tokens.grants.base import Permitted, Proposal, Taken
from broker.tokens.issuing import lifetime_of
from broker.tokens.models import AuthorizationCode, Grant
from broker.tokens.refreshing import first_refresh_token
from broker.tokens.requests import TokenRequest
from broker.tokens.scopes import OFFLINE, split_scopes

NAME = "authorization_code"
KINDS = frozenset({Client.Kind.SIGN_ON})
CONSUMES = True
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Redemption:
    """A code, and what came with it."""

    code: AuthorizationCode
    client: Client
    redirect_uri: str
    verifier: str = field(repr=False)
    now: datetime


def check_not_redeemed(redemption: Redemption) -> None:
    """The code was not used before; when it was, its grant is to be revoked."""
    if redemption.code.redeemed_at is not None:
        raise InvalidGrant("redeemed_before", revokes=redemption.code.grant_id, actual=redemption.code.redeemed_at)


def check_not_expired(redemption: Redemption) -> None:
    """The code is younger than `limits.AUTHORIZATION_CODE_LIFETIME`."""
    if redemption.now >= redemption.code.expires_at:
        raise InvalidGrant("expired", actual=redemption.code.expires_at)


def check_redirect_uri(redemption: Redemption) -> None:
    """The redirect URI is the one to which the code was sent."""
    if redemption.redirect_uri != redemption.code.redirect_uri:
        raise InvalidGrant("redirect_uri", actual=redemption.redirect_uri)


def check_pkce(redemption: Redemption) -> None:
    """The verifier fits the challenge. Without a challenge there is no verifier: PKCE cannot be stripped on the way
    (RFC 9700 section 2.1.1).
    """
    challenge, verifier = redemption.code.code_challenge, redemption.verifier
    if not challenge and not verifier:
        return
    if not challenge or not _VERIFIER.fullmatch(verifier):
        raise InvalidGrant("pkce", actual="a verifier without a challenge" if not challenge else "no such verifier")
    digest = hashlib.sha256(verifier.encode()).digest()
    if not constant_time_compare(base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), challenge):
        raise InvalidGrant("pkce", actual="another verifier")


CHECKS: tuple[Callable[[Redemption], None], ...] = (
    check_not_redeemed,
    check_not_expired,
    check_redirect_uri,
    check_pkce,
)


def propose(
    request: TokenRequest, *, client: Client, resource: Resource | None, attempt: Attempt, now: datetime
) -> Proposal:
    """Judge a code. Raises InvalidGrant, InvalidRequest, InvalidTarget."""
    value, redirect_uri = request.required("code"), request.required("redirect_uri")
    code = _find(value)
    # Another client learns nothing about the code, and cannot revoke what it brought.
    if code is None or code.client_id != client.pk:
        raise InvalidGrant("unknown" if code is None else "other_client")
    attempt.continues(code.trace_id)
    attempt.connection = code.session.identity_provider.slug
    verifier = request.parameters.get("code_verifier", "")
    run_checks(CHECKS, Redemption(code, client, redirect_uri, verifier, now), trace=attempt.trace)
    if resource is not None and resource.pk != code.resource_id:
        granted = code.resource.identifier if code.resource else "our userinfo endpoint"
        raise InvalidTarget("not_granted", expected=granted, actual=resource.identifier)
    sign_on, of_resource = split_scopes(code.scopes)
    return Proposal(
        grant_type=NAME,
        subject=code.session.person,
        scopes=of_resource if code.resource else sign_on,
        ceiling=(of_resource or None) if code.resource else sign_on,
        sign_on_scopes=sign_on,
        resource=code.resource,
        session=code.session,
        bound_to={KEY: code.dpop_thumbprint} if code.dpop_thumbprint else {},
        event=catalogue.TOKEN_ISSUED,
        take=lambda permitted: _take(code, permitted, now=now),
        nonce=code.nonce,
    )


def _take(code: AuthorizationCode, permitted: Permitted, *, now: datetime) -> Taken:
    grant = _open_grant(code, permitted, now=now)
    _use_up(code, grant, now=now)
    return Taken(grant, first_refresh_token(grant, now=now) if OFFLINE in code.scopes else "")


def _find(value: str) -> AuthorizationCode | None:
    hashes = crypto.keyed_hashes(value, purpose=CODE_PURPOSE)
    found = AuthorizationCode.objects.select_related(
        "session__person", "session__identity_provider__organisation", "participant", "resource"
    )
    return next(iter(found.filter(code_hash__in=hashes)[:1]), None)


def _open_grant(code: AuthorizationCode, permitted: Permitted, *, now: datetime) -> Grant:
    lifetime = limits.REFRESH_TOKEN_ABSOLUTE if OFFLINE in code.scopes else lifetime_of(code.resource)
    return Grant.objects.create(
        client_id=code.client_id,
        person=code.session.person,
        session=code.session,
        participant=code.participant,
        resource=code.resource,
        confirmation=dict(permitted.confirmation),
        # What was given, also where nothing of the resource was asked for: a refresh gives no more.
        scopes=[*split_scopes(code.scopes)[0], *split_scopes(permitted.scopes)[1]],
        authenticated_at=code.session.authenticated_at,
        context=code.context,
        methods=code.session.methods,
        created_at=now,
        expires_at=now + lifetime,
    )


def _use_up(code: AuthorizationCode, grant: Grant, *, now: datetime) -> None:
    """Claim the code by a conditional UPDATE, which only one of many can win on every database."""
    unused = AuthorizationCode.objects.filter(pk=code.pk, redeemed_at=None)
    if not unused.update(redeemed_at=now, grant=grant):
        winner = AuthorizationCode.objects.filter(pk=code.pk).values_list("grant_id", flat=True)[0]
        raise InvalidGrant("redeemed_before", revokes=winner, detail="at the same moment")
