"""Writing tokens: access tokens (RFC 9068) and ID tokens (OpenID Connect Core 2)."""

import base64
import hashlib
import json
import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from broker import limits
from broker.keys import jose
from broker.keys.models import SigningKey
from broker.keys.services import signing_key
from broker.keys.values import SigningMaterial
from broker.registry.models import Client
from broker.tokens.grants.base import Authorization
from broker.tokens.models import Grant
from broker.tokens.subjects import subject_of
from broker.traces.collector import Collector

ACCESS_TOKEN_TYPE = "at+jwt"
ID_TOKEN_TYPE = "JWT"


def userinfo_audience() -> str:
    """The one audience of the access tokens of a sign-on: the userinfo endpoint."""
    return f"{settings.BROKER_BASE_URL}/oauth/userinfo"


def write_tokens(authorization: Authorization, *, client: Client, now: datetime, trace: Collector) -> dict[str, Any]:
    """The token response (RFC 6749 section 5.1). Raises BrokerError (service.unavailable) without a signing key."""
    grant = authorization.grant
    key = signing_key(SigningKey.Use.TOKEN, algorithm=SigningKey.Algorithm(client.id_token_algorithm))
    subject = subject_of(client, grant.person)
    expires_at = min(now + limits.ACCESS_TOKEN_LIFETIME, grant.expires_at)
    access_token = _write_access_token(authorization, client, subject, key=key, now=now, expires_at=expires_at)
    response: dict[str, Any] = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": int(expires_at.timestamp()) - int(now.timestamp()),
        "scope": " ".join(authorization.scopes),
    }
    if "openid" in authorization.scopes:
        claims = _id_token_claims(authorization, client, subject, access_token=access_token, now=now)
        trace.message("ID token", json.dumps(claims, ensure_ascii=False, indent=1))
        response["id_token"] = jose.sign(claims, key=key, typ=ID_TOKEN_TYPE)
    if authorization.refresh_token:
        response["refresh_token"] = authorization.refresh_token
    return response


def release_claims(grant: Grant, *, client: Client, scopes: tuple[str, ...]) -> dict[str, Any]:
    """What the application is told of the person now (settings.CLAIMS_RELEASER)."""
    release = import_string(settings.CLAIMS_RELEASER)
    return dict(
        release(person=grant.person, application=client.application, scopes=list(scopes)),
    )


def _write_access_token(
    authorization: Authorization,
    client: Client,
    subject: str,
    *,
    key: SigningMaterial,
    now: datetime,
    expires_at: datetime,
) -> str:
    """RFC 9068 section 2.2, with the grant's id; nothing of the person but the subject."""
    claims = {
        "iss": settings.BROKER_BASE_URL,
        "sub": subject,
        "aud": userinfo_audience(),
        "client_id": client.client_id,
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
        "jti": uuid.uuid4().hex,
        "scope": " ".join(authorization.scopes),
        "gid": str(authorization.grant.pk),
    }
    return jose.sign(claims, key=key, typ=ACCESS_TOKEN_TYPE)


def _id_token_claims(
    authorization: Authorization, client: Client, subject: str, *, access_token: str, now: datetime
) -> dict[str, Any]:
    """OpenID Connect Core 2, 3.1.3.6 and 12.2. What is released never replaces a claim of the protocol."""
    grant = authorization.grant
    claims = release_claims(grant, client=client, scopes=authorization.scopes)
    claims |= {
        "iss": settings.BROKER_BASE_URL,
        "sub": subject,
        "aud": client.client_id,
        "iat": int(now.timestamp()),
        "exp": int((now + limits.ID_TOKEN_LIFETIME).timestamp()),
        "auth_time": int(grant.authenticated_at.timestamp()),
        "at_hash": half_hash(access_token),
        "sid": str(grant.participant_id),
    }
    if authorization.nonce:
        claims["nonce"] = authorization.nonce
    if grant.context:
        claims["acr"] = grant.context
    if grant.methods:
        claims["amr"] = list(grant.methods)
    return claims


def half_hash(token: str) -> str:
    """The left half of SHA-256, which goes with RS256 and with ES256 (OpenID Connect Core 3.1.3.6)."""
    digest = hashlib.sha256(token.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
