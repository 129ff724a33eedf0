"""Authorization requests (RFC 6749 4.1.1, OpenID Connect Core 3.1.2.1, RFC 7636), checked before they are answered."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
PROMPTS = frozenset({"none", "login", "select_account", "consent"})


class AuthorizationRefused(Exception):
    """For a page of ours: nothing is sent to an address that is not known to be the client's."""


class AuthorizationError(Exception):
    """For the client: `error` in the words of RFC 6749, and a description."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client. Its keys are found at `jwks_url`."""

    client_id: str
    redirect_uri: str
    jwks_url: str


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request in order. `contexts` are the acr_values, best first; `max_age` is in seconds."""

    state: str
    nonce: str
    code_challenge: str
    prompts: frozenset[str]
    max_age: int | None
    contexts: tuple[str, ...]


def read_authorization_request(query: Mapping[str, str], *, client: Client) -> AuthorizationRequest:
    """The request in `query`. Raises AuthorizationRefused for a page and AuthorizationError for the client."""
    if query.get("client_id") != client.client_id:
        raise AuthorizationRefused(f"We do not know the client {query.get('client_id')!r}.")
    if query.get("redirect_uri") != client.redirect_uri:
        raise AuthorizationRefused("The request wants its answer at an address that is not registered.")
    for check in CHECKS:
        check(query)
    return AuthorizationRequest(
        state=query.get("state", ""),
        nonce=query["nonce"],
        code_challenge=query["code_challenge"],
        prompts=frozenset(query.get("prompt", "").split()),
        max_age=int(query["max_age"]) if "max_age" in query else None,
        contexts=tuple(query.get("acr_values", "").split()),
    )


def check_response_type(query: Mapping[str, str]) -> None:
    if query.get("response_type") != "code":
        raise AuthorizationError("unsupported_response_type", "Only the authorization code flow is offered.")


def check_scope(query: Mapping[str, str]) -> None:
    if "openid" not in query.get("scope", "").split():
        raise AuthorizationError("invalid_scope", "The scope openid is missing.")


def check_challenge(query: Mapping[str, str]) -> None:
    if query.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(query.get("code_challenge", "")):
        raise AuthorizationError("invalid_request", "A PKCE code_challenge with S256 is required.")


def check_nonce(query: Mapping[str, str]) -> None:
    if not query.get("nonce"):
        raise AuthorizationError("invalid_request", "A nonce is required.")


def check_prompt(query: Mapping[str, str]) -> None:
    prompts = frozenset(query.get("prompt", "").split())
    if prompts - PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise AuthorizationError("invalid_request", "The prompt is not one that we know.")


def check_max_age(query: Mapping[str, str]) -> None:
    if not query.get("max_age", "0").isascii() or not query.get("max_age", "0").isdecimal():
        raise AuthorizationError("invalid_request", "max_age is no number of seconds.")


CHECKS: tuple[Callable[[Mapping[str, str]], None], ...] = (
    check_response_type,
    check_scope,
    check_challenge,
    check_nonce,
    check_prompt,
    check_max_age,
)


def answer_url(client: Client, parameters: Mapping[str, str], *, state: str, issuer: str) -> str:
    """Where the browser carries an answer, which names its issuer (RFC 9207)."""
    stated = {"state": state} if state else {}
    return f"{client.redirect_uri}?{urlencode({**parameters, **stated, 'iss': issuer})}"
