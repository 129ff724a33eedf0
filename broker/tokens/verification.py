"""Reading tokens of ours: access tokens at userinfo, and ID tokens that come back as a hint."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from broker import limits
from broker.errors import BrokerError
from broker.keys import jose
from broker.keys.models import SigningKey
from broker.keys.services import public_keys
from broker.keys.values import Expectation
from broker.registry.models import Client
from broker.tokens.attempts import Attempt
from broker.tokens.bearer import PresentedToken
from broker.tokens.clients import find_named_client
from broker.tokens.errors import InsufficientScope
from broker.tokens.issuing import ID_TOKEN_TYPE
from broker.tokens.liveness import SKEW, LiveToken, read_live_token
from broker.tokens.possession import check_possession
from broker.traces.collector import Collector

OUTLIVED_HINTS = frozenset({"jwt.key", "jwt.expired"})
"""How an ID token fails that may be an honest old one: its key is gone, or its end is too long ago."""


@dataclass(frozen=True, slots=True)
class VerifiedHint:
    """Whom an ID token of ours was about: at which client, as which subject, in which part of a session."""

    client: Client
    subject: str
    participant_id: uuid.UUID


def verify_access_token(
    presented: PresentedToken, *, audience: str, needed_scope: str, attempt: Attempt, now: datetime
) -> LiveToken:
    """For a resource of our own: the token is live, in the hands to which it was given, for us, and reaches far enough.

    Raises InvalidToken, InvalidProof, UseNonce, InsufficientScope.
    """
    live = read_live_token(presented.raw, now=now, trace=attempt.trace, audience=audience)
    attempt.concerns(live.client)
    attempt.connection = live.identity_provider.slug if live.identity_provider else ""
    check_possession(presented, live.claims, now=now, trace=attempt.trace)
    if needed_scope not in live.scopes:
        raise InsufficientScope("scope", expected=needed_scope, actual=" ".join(live.scopes))
    return live


def verify_id_token_hint(token: str, *, now: datetime, trace: Collector | None = None) -> VerifiedHint:
    """Read an ID token of ours that a client hands back (OpenID Connect Core 3.1.2.1, RP-Initiated Logout 1.0).

    It may have expired since, up to `limits.ID_TOKEN_HINT_AGE`; its signature must hold. Raises BrokerError (jwt.*).
    """
    audience = jose.unverified_audience(token, max_bytes=limits.JWT_ID_TOKEN_BYTES)
    client = find_named_client(next(iter(audience))) if len(audience) == 1 else None
    if client is None:
        raise BrokerError("jwt.audience", expected="one client of ours", actual=", ".join(sorted(audience)))
    expectation = Expectation(
        keys=public_keys(SigningKey.Use.TOKEN),
        types=frozenset({ID_TOKEN_TYPE}),
        max_bytes=limits.JWT_ID_TOKEN_BYTES,
        issuer=settings.BROKER_BASE_URL,
        audience=frozenset({client.client_id}),
        greatest_age=limits.ID_TOKEN_LIFETIME + limits.ID_TOKEN_HINT_AGE,
        greatest_lifetime=limits.ID_TOKEN_LIFETIME,
        skew=SKEW,
        after_expiry=limits.ID_TOKEN_HINT_AGE,
        required=frozenset({"sub", "sid"}),
        now=now,
    )
    claims = jose.verify(token, expectation, collector=trace).claims
    try:
        participant_id = uuid.UUID(claims["sid"])
    except ValueError as error:
        raise BrokerError("jwt.claim", detail="sid", expected="a UUID", actual=claims["sid"]) from error
    return VerifiedHint(client, claims["sub"], participant_id)
