"""ID tokens of ours that come back to be exchanged: only from the client to which they were given."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from broker import limits
from broker.directory.models import Person
from broker.keys import jose
from broker.keys.models import SigningKey
from broker.keys.services import public_keys
from broker.keys.values import Expectation
from broker.registry.cache import parties
from broker.registry.models import Client, IdentityProvider
from broker.tokens.backing import Backing, check_backing
from broker.tokens.errors import InvalidToken
from broker.tokens.issuing import ID_TOKEN_TYPE
from broker.tokens.liveness import SKEW
from broker.tokens.models import Grant
from broker.tokens.subjects import subject_of
from broker.traces.collector import Collector


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnIdToken:
    """An ID token of ours of which every check has passed, and the grant of which it came as that is now."""

    grant: Grant
    person: Person
    identity_provider: IdentityProvider | None
    expires_at: datetime


def read_own_id_token(raw: str, *, client: Client, now: datetime, trace: Collector) -> OwnIdToken:
    """The ID token that was given to `client`, when it has not expired and its grant is live. Raises BrokerError."""
    expectation = Expectation(
        keys=public_keys(SigningKey.Use.TOKEN),
        types=frozenset({ID_TOKEN_TYPE}),
        max_bytes=limits.JWT_ID_TOKEN_BYTES,
        issuer=settings.BROKER_BASE_URL,
        audience=frozenset({client.client_id}),
        greatest_age=limits.ID_TOKEN_LIFETIME,
        greatest_lifetime=limits.ID_TOKEN_LIFETIME,
        skew=SKEW,
        after_expiry=timedelta(0),
        required=frozenset({"sub", "sid", "gid", "auth_time", "at_hash"}),
        now=now,
    )
    verified = jose.verify(raw, expectation, collector=trace)
    parties.catch_up()
    grant = _find_grant(str(verified.claims["gid"]))
    if grant is None or grant.person is None or grant.client_id != client.pk:
        raise InvalidToken("unknown_grant")
    if verified.claims["sub"] != subject_of(client, grant.person):
        raise InvalidToken("subject", actual=verified.claims["sub"])
    if grant.revoked_at is not None:
        raise InvalidToken("revoked", actual=grant.revoke_reason)
    if now >= grant.expires_at:
        raise InvalidToken("grant_expired", actual=grant.expires_at)
    backing = Backing(grant=grant, client=client, subject=grant.person, resource=None, scopes=(), now=now)
    vouched = check_backing(backing, trace=trace)
    return OwnIdToken(grant=grant, person=grant.person, identity_provider=vouched, expires_at=verified.expires_at)


def _find_grant(gid: str) -> Grant | None:
    try:
        pk = uuid.UUID(gid)
    except ValueError:
        return None
    return Grant.objects.select_related("client", "person", "session").filter(pk=pk).order_by().first()
