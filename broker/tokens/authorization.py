"""The authorization request: reading it, check by check, and issuing the code that answers it.

RFC 6749 section 4.1.1, RFC 7636, RFC 9700, OpenID Connect Core 3.1.2. Until the client and its redirect URI are
trusted a refusal is a page of ours; after that it goes back to the application.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.utils import timezone

from broker import crypto, limits
from broker.actors import Actor
from broker.errors import BrokerError
from broker.registry.models import Client, Resource
from broker.sessions.models import Participant, Session
from broker.tokens.authorization_checks import (
    REQUEST_CHECKS,
    RESPONSE_MODES,
    TRUST_CHECKS,
    Check,
    RawRequest,
)
from broker.tokens.clients import find_named_client
from broker.tokens.errors import InvalidRequest, LoginRequired, OAuthError
from broker.tokens.models import AuthorizationCode
from broker.tokens.printable import is_printable
from broker.tokens.pushed_requests import take_pushed
from broker.tokens.verification import OUTLIVED_HINTS, verify_id_token_hint
from broker.traces.collector import Collector

CODE_BYTES = 32
CODE_PURPOSE = "authorization-code"


@dataclass(frozen=True, slots=True)
class ReturnAddress:
    """Where and how a client wants its answer: a registered redirect URI, the state to echo, the response mode."""

    redirect_uri: str
    state: str
    response_mode: str


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """An authorization request of which every check has passed. `max_age` is in seconds."""

    client: Client
    return_to: ReturnAddress
    scopes: tuple[str, ...]
    nonce: str
    code_challenge: str
    """S256; empty only for a client that is exempt from PKCE."""
    prompts: frozenset[str]
    max_age: int | None
    contexts: tuple[str, ...]
    login_hint: str
    identity_provider_hint: str
    expected_subject: str
    """Whose answer it must be, from an id_token_hint; empty: anybody's."""
    resource: str
    """The identifier of the resource that the access token shall be for; empty: our userinfo endpoint."""
    dpop_thumbprint: str
    """The key that shall redeem the code; empty: any."""


class AuthorizationRefused(BrokerError):
    """A refusal that the application may be told: `error` is its wire code, `return_to` where it goes."""

    def __init__(self, cause: OAuthError, *, client: Client, return_to: ReturnAddress) -> None:
        super().__init__(cause.code, detail=cause.detail, expected=cause.expected, actual=cause.actual)
        self.error = cause.error
        self.reason = cause.reason
        self.client = client
        self.return_to = return_to


def read_authorization_request(
    raw_parameters: Mapping[str, list[str]], *, collector: Collector | None = None
) -> AuthorizationRequest:
    """Judge an authorization request as it came through a browser, or the pushed one that it names.

    Raises AuthorizationRefused for what the application may be told by redirect, and any other BrokerError
    (oauth.invalid_request, oauth.unknown_client, oauth.redirect_uri, oauth.request_uri, signon.application_disabled)
    for a page of ours.
    """
    client = _find_client(raw_parameters)
    pushed = take_pushed(raw_parameters, client=client, now=timezone.now())
    raw = RawRequest(raw_parameters if pushed is None else pushed, client, is_pushed=pushed is not None)
    return judge(raw, collector=collector)


def judge(raw: RawRequest, *, collector: Collector | None = None) -> AuthorizationRequest:
    """Judge an authorization request, however it came; see `read_authorization_request` for what it raises.

    Unknown parameters, `claims` and `ui_locales` among them, are ignored.
    """
    _run(TRUST_CHECKS, raw, collector)
    client, return_to = raw.known_client, _return_address(raw)
    try:
        _run(REQUEST_CHECKS, raw, collector)
        expected_subject = _read_hint(raw, collector)
    except OAuthError as error:
        raise AuthorizationRefused(error, client=client, return_to=return_to) from error
    return AuthorizationRequest(
        client=client,
        return_to=return_to,
        scopes=raw.words("scope"),
        nonce=raw.value("nonce"),
        code_challenge=raw.value("code_challenge"),
        prompts=frozenset(raw.words("prompt")),
        max_age=int(raw.value("max_age")) if raw.value("max_age") else None,
        contexts=raw.words("acr_values"),
        login_hint=raw.value("login_hint"),
        identity_provider_hint=raw.value("idp_hint"),
        expected_subject=expected_subject,
        resource=raw.value("resource"),
        dpop_thumbprint=raw.value("dpop_jkt"),
    )


def issue_code(
    client: Client,
    *,
    session: Session,
    participant: Participant,
    redirect_uri: str,
    scopes: Iterable[str],
    nonce: str,
    code_challenge: str,
    context: str,
    actor: Actor,
    resource: Resource | None = None,
    dpop_thumbprint: str = "",
) -> str:
    """A code for this client, redirect URI and challenge (RFC 6749 section 4.1.2); stored as a keyed hash only.

    `context` is the acr that the application will be told. `resource` is the audience of the access token, if it is
    not our userinfo endpoint; `dpop_thumbprint` the key that has to redeem the code, if one was named. Personal data
    is not frozen into the code: what the application is told of the person is asked for when it redeems the code. The
    book says that the person was let in (`login.succeeded`) and what was issued (`token.issued`); the code is between.
    """
    now = timezone.now()
    value = secrets.token_urlsafe(CODE_BYTES)
    AuthorizationCode.objects.create(
        code_hash=crypto.keyed_hash(value, purpose=CODE_PURPOSE),
        client=client,
        session=session,
        participant=participant,
        redirect_uri=redirect_uri,
        scopes=list(scopes),
        nonce=nonce,
        code_challenge=code_challenge,
        context=context,
        resource=resource,
        dpop_thumbprint=dpop_thumbprint,
        trace_id=actor.trace_id,
        created_at=now,
        expires_at=now + limits.AUTHORIZATION_CODE_LIFETIME,
    )
    return value


def _find_client(raw_parameters: Mapping[str, list[str]]) -> Client | None:
    named = raw_parameters.get("client_id", [])
    return find_named_client(named[0]) if len(named) == 1 else None


def _read_hint(raw: RawRequest, collector: Collector | None) -> str:
    """The subject of the client's id_token_hint (OpenID Connect Core 3.1.2.1): nobody else may be answered for."""
    token = raw.value("id_token_hint")
    if not token:
        return ""
    try:
        hint = verify_id_token_hint(token, now=timezone.now(), trace=collector)
    except BrokerError as error:
        refusal = LoginRequired if error.code in OUTLIVED_HINTS else InvalidRequest
        raise refusal("id_token_hint", detail=error.code, expected=error.expected, actual=error.actual) from error
    if hint.client.pk != raw.known_client.pk:
        expected, actual = raw.known_client.client_id, hint.client.client_id
        raise InvalidRequest("id_token_hint", detail="another client's", expected=expected, actual=actual)
    return hint.subject


def _return_address(raw: RawRequest) -> ReturnAddress:
    """Where an answer goes, also that to a bad request: a state that cannot be echoed truly is not echoed at all."""
    states = raw.raw_parameters.get("state", [])
    is_echoed = len(states) == 1 and len(states[0]) <= limits.PARAMETER_CHARS and is_printable(states[0])
    modes = raw.raw_parameters.get("response_mode", [])
    mode = modes[0] if len(modes) == 1 and modes[0] in RESPONSE_MODES else "query"
    return ReturnAddress(raw.value("redirect_uri"), states[0] if is_echoed else "", mode)


def _run(checks: tuple[Check, ...], raw: RawRequest, collector: Collector | None) -> None:
    collector = collector or Collector()
    for check in checks:
        name = f"authorize.{check.__name__.removeprefix('check_')}"
        try:
            check(raw)
        except BrokerError as error:
            collector.check(name, passed=False, expected=error.expected, actual=error.actual or error.detail)
            raise
        collector.check(name, passed=True)
