"""Is this token good, and what does it say? (RFC 7662), for those who are registered to ask.

Whatever is wrong with a token, and whoever may not ask about it, the answer is the same `{"active": false}` after the
same question to the database: nobody learns by asking which tokens exist.
"""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from prometheus_client import Counter

from broker.directory.models import Person
from broker.registry.cache import parties
from broker.registry.models import Client, Resource
from broker.registry.services import find_resource
from broker.statements import Parameter, Read
from broker.tokens.attempts import Attempt
from broker.tokens.backing import Backing, check_backing, registry_version
from broker.tokens.client_auth import authenticate_client
from broker.tokens.clients import find_named_client, is_in_use
from broker.tokens.errors import InvalidToken
from broker.tokens.liveness import LiveToken, ask_in_vain, find_live_token, verify_token
from broker.tokens.models import RefreshToken
from broker.tokens.refreshing import hashes_of
from broker.tokens.requests import ClientRequest
from broker.tokens.scopes import split_scopes
from broker.tokens.subjects import subject_name
from broker.traces.collector import Collector, Unheard

INTROSPECTED = Counter(
    "countersign_introspections_total",
    "Tokens that were asked about, by what they were found to be: active, or why they are not",
    ["found"],
)
INACTIVE = {"active": False}
TOLD = ("scope", "client_id", "exp", "iat", "nbf", "sub", "aud", "iss", "jti", "act", "cnf", "acr", "auth_time")
"""Claims of an access token that are told as they stand (RFC 7662 section 2.2, RFC 8693 section 4.1, RFC 9470)."""


def introspect(request: ClientRequest, *, attempt: Attempt) -> dict[str, Any]:
    """What the client that asks may know of `token`. Raises InvalidClient, InvalidRequest; never for the token.

    `token_type_hint` is of no use to us: a token shows what it is.
    """
    caller = authenticate_client(request, attempt=attempt)
    raw = request.required("token")
    describe = _describe_access_token if "." in raw else _describe_refresh_token
    try:
        answer = describe(raw, caller, now=timezone.now(), trace=Unheard())
    except InvalidToken as inactive:
        INTROSPECTED.labels(inactive.reason).inc()
        return dict(INACTIVE)
    INTROSPECTED.labels("active").inc()
    return {"active": True, **answer}


def may_introspect(caller: Client, resource: Resource | None) -> bool:
    """Whether the resource names the client as one of those who guard it. Nobody guards our own userinfo endpoint."""
    return resource is not None and caller in resource.introspectors.all()


def _describe_access_token(raw: str, caller: Client, *, now: datetime, trace: Collector) -> dict[str, Any]:
    try:
        verified = verify_token(raw, now=now, trace=trace)
    except InvalidToken:
        ask_in_vain()
        raise
    live = find_live_token(verified, now=now, trace=trace)
    _check_caller(caller)
    if not may_introspect(caller, live.resource):
        raise InvalidToken("not_permitted", expected="an introspector of the resource", actual=caller.client_id)
    return _describe(live)


def _describe(live: LiveToken) -> dict[str, Any]:
    token_type = "DPoP" if "jkt" in live.claims.get("cnf", {}) else "Bearer"
    return {name: live.claims[name] for name in TOLD if name in live.claims} | {"token_type": token_type}


_REFRESH_TOKEN: Read[RefreshToken] = Read(
    lambda: (
        RefreshToken.objects.select_related("grant__person", "grant__session", "grant__resource")
        .annotate(registry_version=registry_version())
        .filter(token_hash=Parameter(RefreshToken, "token_hash"))
        .order_by()
    )
)


def _describe_refresh_token(raw: str, caller: Client, *, now: datetime, trace: Collector) -> dict[str, Any]:
    """A refresh token is its own client's affair (RFC 7662 section 2.1: no other has it)."""
    row = _find_refresh_token(raw)
    if row is None:
        raise InvalidToken("unknown")
    _check_caller(caller)
    grant = row.grant
    if grant.client_id != caller.pk:
        raise InvalidToken("not_permitted", expected="the client of the token", actual=caller.client_id)
    if row.used_at is not None:
        raise InvalidToken("used", actual=row.used_at)
    if grant.revoked_at is not None:
        raise InvalidToken("revoked", actual=grant.revoke_reason)
    expires_at = min(row.expires_at, grant.expires_at)
    if now >= expires_at:
        raise InvalidToken("expired", actual=expires_at)
    if grant.person is None:
        raise InvalidToken("subject")
    resource = find_resource(grant.resource.identifier) if grant.resource else None
    _, scopes_of_resource = split_scopes(grant.scopes)
    backing = Backing(
        grant=grant, client=caller, subject=grant.person, resource=resource, scopes=scopes_of_resource, now=now
    )
    check_backing(backing, trace=trace)
    return _describe_grant_of(row, caller, grant.person, expires_at=expires_at)


def _describe_grant_of(row: RefreshToken, client: Client, person: Person, *, expires_at: datetime) -> dict[str, Any]:
    grant = row.grant
    described = {
        "scope": " ".join(grant.scopes),
        "client_id": client.client_id,
        "exp": int(expires_at.timestamp()),
        "iat": int(row.created_at.timestamp()),
        "sub": subject_name(client, person),
        "iss": settings.BROKER_BASE_URL,
    }
    if grant.context:
        described["acr"] = grant.context
    if grant.authenticated_at is not None:
        described["auth_time"] = int(grant.authenticated_at.timestamp())
    if grant.confirmation:
        described["cnf"] = dict(grant.confirmation)
    return described


def _find_refresh_token(raw: str) -> RefreshToken | None:
    for token_hash in hashes_of(raw):
        row = _REFRESH_TOKEN.first(token_hash=token_hash)
        if row is not None:
            parties.follow(row.registry_version or 0)  # type: ignore[attr-defined]  # of the annotation
            return row
    return None


def _check_caller(caller: Client) -> None:
    """It authenticated by what was remembered of it; the question to the database may have brought news since."""
    known = find_named_client(caller.client_id)
    if known is None or known.pk != caller.pk or not is_in_use(known):
        raise InvalidToken("caller", expected="a client in use", actual=caller.client_id)
