"""Redeeming an authorization code at an OpenID provider (RFC 6749 section 4.1.3, OpenID Connect Core 3.1.3)."""

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlencode

from django.utils import timezone

from broker import limits
from broker.errors import BrokerError
from broker.keys import jose
from broker.keys.models import SigningKey
from broker.keys.services import signing_key
from broker.keys.strict_json import NotStrictJson, read_object
from broker.outgoing import Fetched, fetch
from broker.registry.models import IdentityProvider
from broker.registry.openid import Discovery
from broker.registry.upstream_secrets import upstream_secret
from broker.traces.collector import Collector
from broker.wording import json_kind

Authentication = IdentityProvider.Authentication
JTI_BYTES = 24
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
Proof = tuple[dict[str, str], dict[str, str]]
"""(headers, form fields) that say who we are."""


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What the token endpoint gave: the ID token is still unverified."""

    unverified_id_token: str = field(repr=False)
    access_token: str = field(repr=False)


def redeem_code(
    identity_provider: IdentityProvider, discovery: Discovery, grant: Mapping[str, str], *, trace: Collector
) -> TokenAnswer:
    """Send `grant` (code, redirect_uri, code_verifier, grant_type) with our proof of who we are.

    Raises BrokerError: oidc.token_request, oidc.token_answer, oidc.not_registered.
    """
    headers, fields = _PROOFS[Authentication(identity_provider.authentication)](identity_provider, discovery)
    trace.note("Token request.", endpoint=discovery.token_endpoint, authentication=identity_provider.authentication)
    try:
        answer = fetch(
            discovery.token_endpoint,
            purpose="token request",
            method="POST",
            body=urlencode({**grant, **fields}).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded", **headers},
            max_bytes=limits.OIDC_TOKEN_ANSWER_BYTES,
            accept="application/json",
            total_seconds=limits.OIDC_REQUEST_SECONDS,
        )
    except BrokerError as error:
        raise BrokerError("oidc.token_request", detail=error.detail, expected="tokens", actual=error.actual) from error
    return _read(answer)


def _read(answer: Fetched) -> TokenAnswer:
    """The tokens of a good answer (OpenID Connect Core 3.1.3.3), or the error of a bad one (RFC 6749 section 5.2)."""
    try:
        told = read_object(answer.body)
    except NotStrictJson as error:
        code = "oidc.token_answer" if answer.status == 200 else "oidc.token_request"
        raise BrokerError(code, detail=str(error), expected="JSON", actual=f"status {answer.status}") from error
    if answer.status != 200:
        reason = f"status {answer.status}, {told.get('error')}: {told.get('error_description', '')}"
        raise BrokerError("oidc.token_request", expected="tokens", actual=reason.rstrip(": "))
    for name in ("id_token", "access_token", "token_type"):
        if not isinstance(told.get(name), str) or not told[name]:
            raise BrokerError("oidc.token_answer", expected=f"{name} as text", actual=json_kind(told.get(name)))
    if told["token_type"].lower() != "bearer":
        raise BrokerError("oidc.token_answer", expected="token_type Bearer", actual=told["token_type"])
    # It goes into a header, where some other letters end one line and begin another.
    if not told["access_token"].isascii() or not told["access_token"].isprintable():
        raise BrokerError("oidc.token_answer", expected="an access_token in ASCII", actual="another one")
    return TokenAnswer(told["id_token"], told["access_token"])


def _prove_by_basic(identity_provider: IdentityProvider, discovery: Discovery) -> Proof:  # noqa: ARG001 - Proofs share one signature
    """Both halves are form-encoded first (RFC 6749 section 2.3.1)."""
    pair = f"{quote_plus(identity_provider.client_id)}:{quote_plus(upstream_secret(identity_provider))}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, {}


def _prove_by_post(identity_provider: IdentityProvider, discovery: Discovery) -> Proof:  # noqa: ARG001 - see above
    return {}, {"client_id": identity_provider.client_id, "client_secret": upstream_secret(identity_provider)}


def _prove_by_assertion(identity_provider: IdentityProvider, discovery: Discovery) -> Proof:
    """A JWT under our token key, which our key set publishes (RFC 7523 section 3, OpenID Connect Core 9).

    Its audience is the issuer, which no other provider can be (RFC 9700 section 2.1.2 says why that matters), unless
    this provider knows only its token endpoint.
    """
    now = timezone.now()
    to_endpoint = identity_provider.assertion_audience == IdentityProvider.AssertionAudience.TOKEN_ENDPOINT
    claims: dict[str, Any] = {
        "iss": identity_provider.client_id,
        "sub": identity_provider.client_id,
        "aud": discovery.token_endpoint if to_endpoint else identity_provider.issuer,
        "jti": secrets.token_urlsafe(JTI_BYTES),
        "iat": int(now.timestamp()),
        "exp": int((now + limits.OIDC_CLIENT_ASSERTION_LIFETIME).timestamp()),
    }
    key = signing_key(SigningKey.Use.TOKEN, algorithm=SigningKey.Algorithm.RS256)
    assertion = jose.sign(claims, key=key, typ=None)
    return {}, {
        "client_id": identity_provider.client_id,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    }


_PROOFS: Mapping[Authentication, Callable[[IdentityProvider, Discovery], Proof]] = {
    Authentication.CLIENT_SECRET_BASIC: _prove_by_basic,
    Authentication.CLIENT_SECRET_POST: _prove_by_post,
    Authentication.PRIVATE_KEY_JWT: _prove_by_assertion,
}
