"""Redeeming a code (RFC 6749 4.1.3, RFC 7636 4.6) by a client that signs for itself (private_key_jwt, RFC 7523)."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from demo.authorization import AuthorizationRequest, Client
from demo.jwt import BadJWT, read_jwt, verify_signature
from demo.sign_ons import SignedOn
from demo.web import Store

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CODE_LIFETIME = timedelta(seconds=60)
SKEW_SECONDS = 30
LONGEST_ASSERTION_SECONDS = 600


class TokenRefused(Exception):
    """`error` in the words of RFC 6749 5.2, and a description."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class Code:
    """What a code stands for."""

    asked: AuthorizationRequest
    signed_on: SignedOn
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What came to the token endpoint, and what it is judged by. `keys` are the client's JWKs."""

    form: Mapping[str, str]
    client: Client
    keys: Sequence[Mapping[str, Any]]
    audiences: frozenset[str]
    now: datetime


def redeem(request: TokenRequest, *, codes: Store[Code], used_ids: Store[str]) -> Code:
    """What the code stood for; it is used up. `used_ids` holds the ids of assertions. Raises TokenRefused."""
    check_client(request, used_ids)
    if request.form.get("grant_type") != "authorization_code":
        raise TokenRefused("unsupported_grant_type", "Only authorization_code is offered.")
    code = codes.take(request.form.get("code", ""))
    if code is None:
        raise TokenRefused("invalid_grant", "The code is not known, or was used before.")
    for check in CHECKS:
        check(request, code)
    return code


def check_client(request: TokenRequest, used_ids: Store[str]) -> None:
    """The assertion is the client's own, for us, valid now and new (RFC 7523 3)."""
    if request.form.get("client_assertion_type") != ASSERTION_TYPE:
        raise TokenRefused("invalid_client", "The client has to authenticate by private_key_jwt.")
    try:
        unverified = read_jwt(request.form.get("client_assertion", ""))
        verify_signature(unverified, request.keys)
    except BadJWT as error:
        raise TokenRefused("invalid_client", f"The client's assertion is not accepted. {error}") from error
    claims = unverified.claims
    audiences = claims.get("aud") if isinstance(claims.get("aud"), list) else [claims.get("aud")]
    seconds, expiry = request.now.timestamp(), claims.get("exp")
    if (claims.get("iss"), claims.get("sub")) != (request.client.client_id, request.client.client_id):
        raise TokenRefused("invalid_client", "The assertion is another client's.")
    if not request.audiences.intersection(map(str, audiences or [])):
        raise TokenRefused("invalid_client", "The assertion is meant for somebody else.")
    if not isinstance(expiry, int) or not -SKEW_SECONDS <= expiry - seconds <= LONGEST_ASSERTION_SECONDS:
        raise TokenRefused("invalid_client", "The assertion is not valid now.")
    if not claims.get("jti") or not used_ids.add(str(claims["jti"]), ""):
        raise TokenRefused("invalid_client", "The assertion was used before, or has no jti.")


def check_age(request: TokenRequest, code: Code) -> None:
    if request.now - code.issued_at > CODE_LIFETIME:
        raise TokenRefused("invalid_grant", "The code is too old.")


def check_redirect_uri(request: TokenRequest, _code: Code) -> None:
    if request.form.get("redirect_uri") != request.client.redirect_uri:
        raise TokenRefused("invalid_grant", "The redirect_uri is not that of the authorization request.")


def check_verifier(request: TokenRequest, code: Code) -> None:
    digest = hashlib.sha256(request.form.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if not hmac.compare_digest(challenge, code.asked.code_challenge):
        raise TokenRefused("invalid_grant", "The code_verifier does not fit the code_challenge.")


CHECKS: tuple[Callable[[TokenRequest, Code], None], ...] = (check_age, check_redirect_uri, check_verifier)
