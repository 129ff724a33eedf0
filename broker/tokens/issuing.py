"""Writing tokens: access tokens (RFC 9068) and ID tokens (OpenID Connect Core 2)."""

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from broker import limits
from broker.directory.models import Person
from broker.errors import BrokerError
from broker.keys import jose
from broker.keys.models import SigningKey
from broker.keys.services import signing_key
from broker.registry.models import Client, Resource
from broker.tokens.models import Grant
from broker.tokens.subjects import subject_name
from broker.traces.collector import Collector

ACCESS_TOKEN_TYPE = "at+jwt"
ID_TOKEN_TYPE = "JWT"


def userinfo_audience() -> str:
    """The one audience of the access tokens of a sign-on: the userinfo endpoint."""
    return f"{settings.BROKER_BASE_URL}/oauth/userinfo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What a client is entitled to, and what its tokens shall say. `scopes` never exceed the grant's."""

    grant: Grant
    subject: Person | Client
    scopes: tuple[str, ...]
    sign_on_scopes: tuple[str, ...]
    """What the ID token may tell; there is one when `openid` is among them."""
    resource: Resource | None
    """The audience of the access token; None is our own userinfo endpoint."""
    not_after: datetime
    actors: tuple[Mapping[str, Any], ...] = ()
    confirmation: Mapping[str, str] = field(default_factory=dict)
    """The key to which the access token is bound, as `cnf` says it (RFC 7800); empty for a bearer token."""
    nonce: str = ""
    refresh_token: str = field(default="", repr=False)
    issued_token_type: str = ""


@dataclass(frozen=True, slots=True)
class Issued:
    """A token response (RFC 6749 section 5.1), and what the book says of its access token."""

    response: dict[str, Any] = field(repr=False)
    jti: str
    kid: str


def write_tokens(authorization: Authorization, *, client: Client, now: datetime, trace: Collector) -> Issued:
    """Write the tokens of an authorization. Raises BrokerError (service.unavailable) without a signing key."""
    resource = authorization.resource
    algorithm = client.id_token_algorithm if resource is None else resource.token_algorithm
    key = signing_key(SigningKey.Use.TOKEN, algorithm=SigningKey.Algorithm(algorithm))
    subject = subject_name(client, authorization.subject)
    expires_at = min(now + lifetime_of(resource), authorization.not_after)
    claims = _access_token_claims(authorization, client, subject, now=now, expires_at=expires_at)
    access_token = jose.sign(claims, key=key, typ=ACCESS_TOKEN_TYPE)
    response: dict[str, Any] = {
        "access_token": access_token,
        "token_type": "DPoP" if "jkt" in authorization.confirmation else "Bearer",
        "expires_in": int(expires_at.timestamp()) - int(now.timestamp()),
        "scope": " ".join(dict.fromkeys((*authorization.sign_on_scopes, *authorization.scopes))),
    }
    if authorization.issued_token_type:
        response["issued_token_type"] = authorization.issued_token_type
    if "openid" in authorization.sign_on_scopes:
        id_claims = _id_token_claims(authorization, client, subject, access_token=access_token, now=now)
        trace.message("ID token", json.dumps(id_claims, ensure_ascii=False, indent=1))
        id_key = signing_key(SigningKey.Use.TOKEN, algorithm=SigningKey.Algorithm(client.id_token_algorithm))
        response["id_token"] = jose.sign(id_claims, key=id_key, typ=ID_TOKEN_TYPE)
    if authorization.refresh_token:
        response["refresh_token"] = authorization.refresh_token
    return Issued(response, claims["jti"], key.kid)


def lifetime_of(resource: Resource | None) -> timedelta:
    """How long an access token for the resource lives; ten minutes for our own userinfo endpoint."""
    return limits.ACCESS_TOKEN_LIFETIME if resource is None else timedelta(seconds=resource.token_lifetime)


def release_claims(grant: Grant, *, client: Client, scopes: tuple[str, ...]) -> dict[str, Any]:
    """What the application is told of the person now (settings.CLAIMS_RELEASER)."""
    release = import_string(settings.CLAIMS_RELEASER)
    return dict(
        release(person=grant.person, application=client.application, scopes=list(scopes)),
    )


def _access_token_claims(
    authorization: Authorization, client: Client, subject: str, *, now: datetime, expires_at: datetime
) -> dict[str, Any]:
    """RFC 9068 section 2.2, with the grant's id; nothing of a person but the subject and how it was authenticated."""
    grant, resource = authorization.grant, authorization.resource
    claims: dict[str, Any] = {
        "iss": settings.BROKER_BASE_URL,
        "sub": subject,
        "aud": userinfo_audience() if resource is None else resource.identifier,
        "client_id": client.client_id,
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
        "jti": uuid.uuid4().hex,
        "scope": " ".join(authorization.scopes),
        "gid": str(grant.pk),
    }
    if resource is not None and grant.authenticated_at is not None:
        claims |= _authentication(grant, grant.authenticated_at)
    if authorization.actors:
        claims["act"] = nested_actors(authorization.actors)
    if authorization.confirmation:
        claims["cnf"] = dict(authorization.confirmation)
    return claims


def nested_actors(actors: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The `act` claim: the present actor outermost, the ones before it within (RFC 8693 section 4.1)."""
    nested: dict[str, Any] = {}
    for actor in reversed(actors):
        nested = {**actor, "act": nested} if nested else dict(actor)
    return nested


def _id_token_claims(
    authorization: Authorization, client: Client, subject: str, *, access_token: str, now: datetime
) -> dict[str, Any]:
    """OpenID Connect Core 2, 3.1.3.6 and 12.2. What is released never replaces a claim of the protocol."""
    grant = authorization.grant
    if grant.authenticated_at is None:
        raise BrokerError("service.unavailable", detail=f"grant {grant.pk} has openid and no authentication")
    claims = release_claims(grant, client=client, scopes=authorization.sign_on_scopes)
    claims |= {
        "iss": settings.BROKER_BASE_URL,
        "sub": subject,
        "aud": client.client_id,
        "iat": int(now.timestamp()),
        "exp": int((now + limits.ID_TOKEN_LIFETIME).timestamp()),
        "at_hash": half_hash(access_token),
        "sid": str(grant.participant_id),
        # By it an exchange finds what stands behind the token (own_id_tokens).
        "gid": str(grant.pk),
        **_authentication(grant, grant.authenticated_at),
    }
    if authorization.nonce:
        claims["nonce"] = authorization.nonce
    return claims


def _authentication(grant: Grant, authenticated_at: datetime) -> dict[str, Any]:
    claims: dict[str, Any] = {"auth_time": int(authenticated_at.timestamp())}
    if grant.context:
        claims["acr"] = grant.context
    if grant.methods:
        claims["amr"] = list(grant.methods)
    return claims


def half_hash(token: str) -> str:
    """The left half of SHA-256, which goes with RS256 and with ES256 (OpenID Connect Core 3.1.3.6)."""
    digest = hashlib.sha256(token.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
