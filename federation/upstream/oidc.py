"""The door to OpenID providers, and the only one to mozilla-django-oidc: our authorization request out, its answer in.

The library keeps one provider in Django's settings and its flow in Django's session. Here each identity provider's row
is its settings (`Exchange.setting`), the stored login request and its cookie are the flow, and nobody passes through
`auth.login`. What the library does not check, or fetches without bounds, is replaced: see RelyingParty.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.utils import generate_code_challenge
from mozilla_django_oidc.views import OIDCAuthenticationRequestView

from broker import crypto
from broker.errors import BrokerError
from broker.registry.models import IdentityProvider
from broker.registry.openid import Discovery, discovery_of
from broker.traces.collector import Collector
from federation.assertions import Answer, VerifiedAssertion
from federation.upstream.addresses import backchannel_logout_url, callback_url, jwks_url
from federation.upstream.authorization_response import code_of
from federation.upstream.base import UpstreamRequest
from federation.upstream.foreign_claims import attributes_of, subject_of
from federation.upstream.id_token import IdTokenExpectation, verify_id_token
from federation.upstream.token_request import redeem_code
from federation.upstream.userinfo import fetch_userinfo, lacks_wanted_claims

HIDDEN = frozenset({"state", "nonce", "code_challenge"})
"""Parameters whose values are nobody's business, not even an operator's."""
GRANT = ("grant_type", "code", "redirect_uri", "code_verifier")
"""What of the library's token request says what we want; who we are is said by `token_request`."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question to one provider: all that the library reads from settings, sessions and requests elsewhere."""

    identity_provider: IdentityProvider
    discovery: Discovery
    request: UpstreamRequest

    @property
    def nonce(self) -> str:
        """Follows from this question alone: nothing is stored, and another question has another one."""
        return crypto.derive_secret(self._seed, purpose="oidc-nonce")

    @property
    def code_verifier(self) -> str:
        """43 characters, 256 bits (RFC 7636 section 4.1)."""
        return crypto.derive_secret(self._seed, purpose="oidc-code-verifier")

    @property
    def _seed(self) -> str:
        # The request id is made anew for each identity provider that a person tries, the relay state is not: what one
        # provider saw is worthless at the next.
        return f"{self.request.relay_state} {self.request.request_id}"

    def setting(self, name: str, *default: Any) -> Any:
        """The library's `get_settings`: from this provider's row, never from Django's settings."""
        row, found = self.identity_provider, self.discovery
        known: dict[str, Any] = {
            "OIDC_OP_AUTHORIZATION_ENDPOINT": found.authorization_endpoint,
            "OIDC_OP_TOKEN_ENDPOINT": found.token_endpoint,
            "OIDC_OP_USER_ENDPOINT": found.userinfo_endpoint,
            "OIDC_OP_JWKS_ENDPOINT": found.jwks_uri,
            "OIDC_RP_CLIENT_ID": row.client_id,
            "OIDC_RP_CLIENT_SECRET": "",
            "OIDC_RP_SIGN_ALGO": "RS256",
            "OIDC_RP_SCOPES": " ".join(row.scopes),
            # Nonce and PKCE are always there, but ours: the library's would have to be stored.
            "OIDC_USE_NONCE": False,
            "OIDC_USE_PKCE": False,
            # Any address without arguments; LibraryRequest knows the one of this provider.
            "OIDC_AUTHENTICATION_CALLBACK_URL": "home",
            "OIDC_CREATE_USER": True,
        }
        if name in known:
            return known[name]
        if default:
            return default[0]
        raise ImproperlyConfigured(f"{name} has no meaning for an identity provider")


@dataclass(slots=True)
class LibraryRequest:
    """What the library is shown instead of a browser's request: its session ends with it, its only address is ours."""

    address: str
    GET: Mapping[str, str] = field(default_factory=dict)
    session: dict[str, Any] = field(default_factory=dict)

    def build_absolute_uri(self, location: str = "") -> str:  # noqa: ARG002 - the library's call
        """Our callback for this provider, whatever Host the browser named."""
        return self.address


class AuthorizationQuery(OIDCAuthenticationRequestView):
    """The query of the library's authorization request, with what a row and a stored question know."""

    def __init__(self, exchange: Exchange) -> None:
        self.get_settings = exchange.setting
        self.exchange = exchange
        super().__init__()

    def get_extra_params(self, request: LibraryRequest) -> dict[str, str]:  # noqa: ARG002 - the library's signature
        """Applied last, so that the library's random state gives way to the stored one."""
        asked = self.exchange.request
        params = {"state": asked.relay_state, "nonce": self.exchange.nonce}
        if asked.force:
            params["prompt"] = "login"
        if asked.authenticated_after is not None:
            age = timezone.now() - asked.authenticated_after
            params["max_age"] = str(max(0, int(age.total_seconds())))
        if asked.contexts:
            params["acr_values"] = " ".join(asked.contexts)
        if asked.login_hint:
            params["login_hint"] = asked.login_hint
        return params

    def text(self) -> str:
        """The query as it is sent, PKCE included: S256, always (RFC 7636, RFC 9700 section 2.1.1)."""
        request = LibraryRequest(callback_url(self.exchange.identity_provider))
        sent: str = self.get(request).url
        challenge = generate_code_challenge(self.exchange.code_verifier, "S256")
        query = sent.removeprefix(f"{self.exchange.discovery.authorization_endpoint}?")
        return f"{query}&code_challenge={challenge}&code_challenge_method=S256"


class RelyingParty(OIDCAuthenticationBackend):
    """The library's walk from a code to claims, each step of which is ours.

    `authenticate` is the library's: it calls get_token, verify_token, get_userinfo, verify_claims,
    filter_users_by_claims and create_user in this order. It is never among AUTHENTICATION_BACKENDS: what comes out is
    no account of Django's but a VerifiedAssertion. One object serves one exchange.
    """

    def __init__(self, exchange: Exchange, *, now: datetime, trace: Collector) -> None:
        self.get_settings = exchange.setting
        self.exchange = exchange
        self.now = now
        self.trace = trace
        self.access_token = ""
        self.id_token_claims: Mapping[str, Any] = {}
        super().__init__()

    def get_token(self, payload: Mapping[str, str]) -> dict[str, str]:
        """Redeem the code, by the way out and with the proof that this provider wants."""
        grant = {name: payload[name] for name in GRANT}
        row, found = self.exchange.identity_provider, self.exchange.discovery
        answer = redeem_code(row, found, grant, trace=self.trace)
        self.access_token = answer.access_token
        return {"id_token": answer.unverified_id_token, "access_token": answer.access_token}

    def verify_token(self, token: str, **kwargs: Any) -> Mapping[str, Any]:
        """The claims of the ID token, by the JWT door and every check of OpenID Connect."""
        row, found = self.exchange.identity_provider, self.exchange.discovery
        expectation = IdTokenExpectation(
            owner=str(row.pk),
            issuer=row.issuer,
            client_id=row.client_id,
            jwks_uri=found.jwks_uri,
            algorithms=found.id_token_algorithms,
            nonce=kwargs["nonce"],
            access_token=self.access_token,
            authenticated_after=self.exchange.request.authenticated_after,
            skew=timedelta(seconds=row.skew_seconds),
            now=self.now,
        )
        self.id_token_claims = verify_id_token(token, expectation, trace=self.trace).claims
        self.trace.message("ID token claims", _shown(self.id_token_claims))
        return self.id_token_claims

    def store_tokens(self, access_token: str, id_token: str) -> None:
        """Nowhere: a token that is not kept cannot be stolen."""

    def get_userinfo(self, access_token: str, id_token: str, payload: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - the library's signature
        """The ID token's claims; where they leave something open, with the userinfo endpoint's below them."""
        row, found, wanted = self.exchange.identity_provider, self.exchange.discovery, self.exchange.request.wanted
        if not found.userinfo_endpoint or not lacks_wanted_claims(payload, scopes=row.scopes, wanted=wanted):
            return dict(payload)
        told = fetch_userinfo(found.userinfo_endpoint, access_token, subject=payload["sub"], trace=self.trace)
        self.trace.message("Userinfo claims", _shown(told))
        return {**told, **payload}

    def verify_claims(self, claims: Mapping[str, Any]) -> bool:
        """There is a subject by this provider's rule; without one the rule has raised."""
        return bool(subject_of(claims, self.exchange.identity_provider.subject))

    def filter_users_by_claims(self, claims: Mapping[str, Any]) -> list[Any]:  # noqa: ARG002 - the library's signature
        """Nobody is found by claims: who a subject is, the directory knows by its links."""
        return []

    def create_user(self, claims: Mapping[str, Any]) -> VerifiedAssertion:
        """The assertion of a subject whose every check has passed; no account is made."""
        attributes = attributes_of(claims)
        if attributes.odd:
            self.trace.note("Claims of a shape that we do not read.", names=", ".join(attributes.odd))
        if attributes.unvouched:
            self.trace.note(
                "Left out, since the provider calls them unverified.", names=", ".join(attributes.unvouched)
            )
        token = self.id_token_claims
        told_at = token.get("auth_time")
        authenticated_at = self.now if told_at is None else datetime.fromtimestamp(told_at, tz=self.now.tzinfo)
        return VerifiedAssertion(
            issuer=self.exchange.identity_provider.issuer,
            subject=subject_of(claims, self.exchange.identity_provider.subject),
            authenticated_at=min(authenticated_at, self.now),
            context=token.get("acr", ""),
            attributes=attributes.values,
            methods=tuple(token.get("amr", ())),
            upstream_session={name: token[name] for name in ("sub", "sid") if name in token},
            incomplete=attributes.incomplete,
        )

    def _unreachable(self, *_arguments: Any, **_named: Any) -> NoReturn:
        """What the library would do by itself, and we never let it."""
        raise BrokerError("service.fault", detail="mozilla-django-oidc left the way that is laid for it")

    retrieve_matching_jwk = get_payload_data = _verify_jws = raise_token_response_error = _unreachable
    update_user = get_username = describe_user_by_claims = get_user = _unreachable


class OIDCConnector:
    """OpenID Connect's authorization code flow as a relying party (OpenID Connect Core 3.1)."""

    def our_addresses(self, identity_provider: IdentityProvider) -> Mapping[str, str]:
        """Our redirect URI, where logout tokens go, and the keys of our client assertions where we make any."""
        found = {
            "Redirect URI": callback_url(identity_provider),
            "Back-channel logout URI": backchannel_logout_url(identity_provider),
        }
        if identity_provider.authentication == IdentityProvider.Authentication.PRIVATE_KEY_JWT:
            found["JWK set"] = jwks_url()
        return found

    def start(self, identity_provider: IdentityProvider, request: UpstreamRequest, *, trace: Collector) -> Answer:
        """An authorization request by redirect. Raises BrokerError("oidc.not_registered")."""
        exchange = Exchange(identity_provider, discovery_of(identity_provider), request)
        query = AuthorizationQuery(exchange).text()
        shown = "\n".join(part for part in query.split("&") if part.partition("=")[0] not in HIDDEN)
        trace.message("Authorization request", shown)
        endpoint = exchange.discovery.authorization_endpoint
        # A provider may have a query of its own in its address (RFC 6749 section 3.1).
        glue = "" if endpoint.endswith(("?", "&")) else "&" if "?" in endpoint else "?"
        return Answer(f"{endpoint}{glue}{query}")

    def finish(
        self, identity_provider: IdentityProvider, request: UpstreamRequest, raw_answer: str, *, trace: Collector
    ) -> VerifiedAssertion:
        """Judge an answer: `raw_answer` is the query with which the browser came back. Raises BrokerError."""
        exchange = Exchange(identity_provider, discovery_of(identity_provider), request)
        code = code_of(
            raw_answer,
            request=request,
            issuer=identity_provider.issuer,
            names_issuer=exchange.discovery.names_issuer,
            trace=trace,
        )
        party = RelyingParty(exchange, now=timezone.now(), trace=trace)
        answer = LibraryRequest(callback_url(identity_provider), GET={"state": request.relay_state, "code": code})
        verified = party.authenticate(answer, nonce=exchange.nonce, code_verifier=exchange.code_verifier)
        if not isinstance(verified, VerifiedAssertion):
            raise BrokerError("service.fault", detail="mozilla-django-oidc came back without an assertion")
        return verified


def _shown(claims: Mapping[str, Any]) -> str:
    """Claims as an operator may read them."""
    hidden = HIDDEN | {"at_hash", "c_hash", "s_hash"}
    shown = {name: value for name, value in claims.items() if name not in hidden}
    return json.dumps(shown, indent=2, ensure_ascii=False, sort_keys=True)
