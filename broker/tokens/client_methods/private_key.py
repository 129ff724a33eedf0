"""private_key_jwt: a client signs its own assertion (RFC 7523 section 3, RFC 10070; OpenID Connect Core 9).

The audience is our issuer and nothing else, so that no other server can use the assertion here, nor ours elsewhere.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from broker import limits
from broker.keys import jose
from broker.keys.jwk_set import open_jwk, read_jwk_set
from broker.keys.remote import remote_keys
from broker.keys.values import ABSENT, ForeignExpectation, VerificationKey, VerifiedClaims
from broker.once.services import AlreadyUsed, claim_once
from broker.registry.cache import parties
from broker.registry.credential_names import shortened
from broker.registry.models import Client, CredentialKind
from broker.tokens.credentials import VerifiedCredential
from broker.tokens.errors import InvalidClient
from broker.traces.collector import Collector

TYPES = frozenset({ABSENT, "JWT", "client-authentication+jwt"})
"""RFC 10070 names a type of its own; what clients sent before it has the common one or none."""
USED = "client_assertion"
"""The kind under which a `jti` is remembered as used."""


def verify_own_assertion(raw_assertion: str, client: Client, *, trace: Collector, now: datetime) -> VerifiedCredential:
    """The key of `client` that signed, when every check passed and the assertion was not used before.

    Raises InvalidClient, BrokerError (jwt.*, outgoing.refused).
    """
    expectation = ForeignExpectation(
        keys=_keys(raw_assertion, client, trace=trace, now=now),
        types=TYPES,
        max_bytes=limits.JWT_BEARER_BYTES,
        issuer=client.client_id,
        audience=_audience(raw_assertion, client, trace=trace, now=now),
        greatest_age=limits.CLIENT_ASSERTION_AGE,
        greatest_lifetime=limits.CLIENT_ASSERTION_LIFETIME,
        skew=limits.CLIENT_ASSERTION_SKEW,
        after_expiry=timedelta(0),
        required=frozenset({"sub", "jti"}),
        now=now,
    )
    verified = jose.verify(raw_assertion, expectation, collector=trace)
    check_subject(verified, client)
    check_not_used(verified, client)
    return VerifiedCredential(Client.Authentication.PRIVATE_KEY_JWT, CredentialKind.KEY, shortened(verified.kid))


def check_subject(verified: VerifiedClaims, client: Client) -> None:
    """The client speaks for itself: `sub` is its id, as `iss` is (RFC 7523 section 3)."""
    if verified.claims["sub"] != client.client_id:
        raise InvalidClient("subject", expected=client.client_id, actual=verified.claims["sub"])


def check_not_used(verified: VerifiedClaims, client: Client) -> None:
    """The assertion is used for the first time. It is remembered for as long as anybody could present it."""
    until = min(verified.expires_at, verified.issued_at + limits.CLIENT_ASSERTION_AGE)
    try:
        claim_once(USED, f"{client.pk}:{verified.claims['jti']}", until=until)
    except AlreadyUsed as error:
        raise InvalidClient("replayed", expected="a jti of its own", actual="one that was used before") from error


def _keys(raw_assertion: str, client: Client, *, trace: Collector, now: datetime) -> tuple[VerificationKey, ...]:
    if client.jwks_url:
        kid = jose.unverified_kid(raw_assertion, max_bytes=limits.JWT_BEARER_BYTES)
        return remote_keys(f"client-{client.pk}", url=client.jwks_url, unverified_kid=kid, now=now, trace=trace)
    return parties.get(("client_keys", client.client_id), lambda: registered_keys(client.jwks))


def registered_keys(jwks: Mapping[str, Any]) -> tuple[VerificationKey, ...]:
    """The usable keys of a registered set, opened; none when there is none that we can use."""
    try:
        found = read_jwk_set(json.dumps(jwks).encode())
    except ValueError:
        return ()
    return tuple(open_jwk(key) for key in found.keys)


def _audience(raw_assertion: str, client: Client, *, trace: Collector, now: datetime) -> frozenset[str]:
    """Our issuer; until the day that an operator set for this client, also the token endpoint's address."""
    issuer = frozenset({settings.BROKER_BASE_URL})
    until = client.token_endpoint_audience_until
    if until is None or until < now.date():
        return issuer
    token_endpoint = frozenset({f"{settings.BROKER_BASE_URL}/oauth/token"})
    if jose.unverified_audience(raw_assertion, max_bytes=limits.JWT_BEARER_BYTES) != token_endpoint:
        return issuer
    trace.note("The assertion names the token endpoint, which this client may still do.", until=until.isoformat())
    return token_endpoint
