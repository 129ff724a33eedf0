"""The checks of an authorization request, one function per rule, in two ordered tuples.

RFC 6749 sections 3.1 and 4.1.1, RFC 7636, RFC 8707, RFC 9700 section 2.1, OpenID Connect Core 3.1.2. A refusal of
TRUST_CHECKS is a page of ours; one of REQUEST_CHECKS is an OAuthError that the application may be told.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from broker import limits
from broker.errors import BrokerError
from broker.registry.models import Client, Resource
from broker.registry.services import find_resource
from broker.registry.values import SIGN_ON_SCOPES
from broker.tokens.clients import is_in_use
from broker.tokens.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    RegistrationNotSupported,
    RequestNotSupported,
    RequestUriNotSupported,
    UnsupportedResponseType,
)
from broker.tokens.printable import is_printable

PROMPTS = ("none", "login", "consent", "select_account")
RESPONSE_MODES = ("query", "form_post")
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_S256_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_MAX_AGE = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RawRequest:
    """The parameters as they came, each with all its values, and the client that they name, if there is one."""

    raw_parameters: Mapping[str, list[str]] = field(repr=False)
    client: Client | None
    is_pushed: bool = False
    """Whether the client sent it to us itself (RFC 9126)."""

    def value(self, name: str) -> str:
        """The value of a parameter; one without a value counts as omitted (RFC 6749 section 3.1)."""
        values = self.raw_parameters.get(name) or [""]
        return values[0]

    @property
    def known_client(self) -> Client:
        """The client, which `check_client` has seen to be there."""
        if self.client is None:
            raise BrokerError("oauth.unknown_client")
        return self.client

    @property
    def resource(self) -> Resource | None:
        """The registered resource that is named."""
        return find_resource(self.value("resource"))

    def words(self, name: str) -> tuple[str, ...]:
        """A space-delimited list, each word once, in order."""
        return tuple(dict.fromkeys(word for word in self.value(name).split(" ") if word))


Check = Callable[[RawRequest], None]


def check_client(raw: RawRequest) -> None:
    """Exactly one client is named, and it is registered."""
    if len(raw.raw_parameters.get("client_id", ())) != 1:
        count = len(raw.raw_parameters.get("client_id", ()))
        raise BrokerError("oauth.invalid_request", detail="client_id", expected="one client_id", actual=count)
    if raw.client is None:
        raise BrokerError("oauth.unknown_client", expected="a registered client", actual=raw.value("client_id"))


def check_client_signs_people_on(raw: RawRequest) -> None:
    """The client is an application's; a service has no browser to send anywhere."""
    client = raw.known_client
    if client.kind != Client.Kind.SIGN_ON or client.application is None:
        raise BrokerError("oauth.unknown_client", expected=Client.Kind.SIGN_ON.value, actual=client.kind)


def check_application_enabled(raw: RawRequest) -> None:
    """Neither the client nor its application is switched off or retired."""
    if not is_in_use(raw.known_client):
        raise BrokerError("signon.application_disabled", expected="enabled", actual=raw.known_client.client_id)


def check_redirect_uri(raw: RawRequest) -> None:
    """The redirect URI is sent, once, and equals a registered one letter by letter (RFC 9700 section 2.1)."""
    sent = raw.raw_parameters.get("redirect_uri", [])
    registered = raw.known_client.redirect_uris
    if len(sent) != 1 or sent[0] not in registered:
        raise BrokerError("oauth.redirect_uri", expected=" or ".join(registered), actual=" and ".join(sent))


def check_characters(raw: RawRequest) -> None:
    """No parameter holds a control character or what is not UTF-8, or is longer than its limit."""
    for name, values in raw.raw_parameters.items():
        longest = limits.JWT_ID_TOKEN_BYTES if name == "id_token_hint" else limits.PARAMETER_CHARS
        for text in (name, *values):
            if len(text) > longest or not is_printable(text):
                raise InvalidRequest("characters", detail=name[:100], expected="printable text of bounded length")


def check_no_repeats(raw: RawRequest) -> None:
    """No parameter is sent twice (RFC 6749 section 3.1): the two ends might believe different ones."""
    for name, values in raw.raw_parameters.items():
        if len(values) > 1:
            raise InvalidRequest("repeated", detail=name[:100], expected="once", actual=f"{len(values)} times")


def check_pushed(raw: RawRequest) -> None:
    """A client that has to push its requests did so (RFC 9126 section 6)."""
    if raw.known_client.require_pushed_authorization_requests and not raw.is_pushed:
        raise InvalidRequest("not_pushed", expected="a request_uri of ours", actual="parameters in the address")


def check_dpop_thumbprint(raw: RawRequest) -> None:
    """`dpop_jkt` is a thumbprint (RFC 9449 section 10)."""
    named = raw.value("dpop_jkt")
    if named and not _THUMBPRINT.fullmatch(named):
        raise InvalidRequest("dpop_jkt", detail="dpop_jkt", expected="a thumbprint of 43 characters", actual=len(named))


def check_response_mode(raw: RawRequest) -> None:
    """The answer goes by query or by an auto-submitted form, never in a fragment."""
    mode = raw.value("response_mode")
    if mode and mode not in RESPONSE_MODES:
        expected = " or ".join(RESPONSE_MODES)
        raise InvalidRequest("response_mode", code="oauth.response_mode", expected=expected, actual=mode)


def check_response_type(raw: RawRequest) -> None:
    """The code flow: no token ever goes through a browser (RFC 9700 section 2.1.2)."""
    response_type = raw.value("response_type")
    if not response_type:
        raise InvalidRequest("response_type", detail="response_type", expected="code", actual="absent")
    if response_type != "code":
        raise UnsupportedResponseType("response_type", expected="code", actual=response_type)


def check_no_request_object(raw: RawRequest) -> None:
    """Neither a request object nor a reference to one; nothing is fetched (OpenID Connect Core 6)."""
    if raw.value("request"):
        raise RequestNotSupported("request", detail="request", expected="absent", actual="present")
    if raw.value("request_uri"):
        raise RequestUriNotSupported("request_uri", detail="request_uri", expected="absent", actual="present")


def check_no_registration(raw: RawRequest) -> None:
    """A client is registered by operators, not by its own request (OpenID Connect Core 7.2.1)."""
    if raw.value("registration"):
        raise RegistrationNotSupported("registration", detail="registration", expected="absent", actual="present")


def check_resource(raw: RawRequest) -> None:
    """The one resource that is named, if any, is registered (RFC 8707 section 2)."""
    if len(raw.raw_parameters.get("resource", ())) > 1:
        raise InvalidTarget("several", expected="one resource", actual=len(raw.raw_parameters["resource"]))
    if raw.value("resource") and raw.resource is None:
        raise InvalidTarget("unknown", expected="a registered resource", actual=raw.value("resource")[:200])


def check_scope(raw: RawRequest) -> None:
    """`openid` is asked for, and nothing that neither we offer nor the named resource."""
    asked = raw.words("scope")
    offered = (*SIGN_ON_SCOPES, *(raw.resource.scopes if raw.resource else ()))
    unknown = [scope for scope in asked if scope not in offered]
    if unknown or "openid" not in asked:
        raise InvalidScope("scope", expected=f"openid, and any of {' '.join(offered)}", actual=raw.value("scope"))


def check_pkce(raw: RawRequest) -> None:
    """PKCE with S256, unless the client has a recorded exception; `plain` never (RFC 9700 section 2.1.1).

    A challenge without a method would mean `plain` (RFC 7636 section 4.3) and is refused as such.
    """
    challenge, method = raw.value("code_challenge"), raw.value("code_challenge_method")
    if not challenge and not method and raw.known_client.pkce == Client.PKCE.EXEMPT:
        return
    if not _S256_CHALLENGE.fullmatch(challenge) or method != "S256":
        raise InvalidRequest(
            "pkce",
            code="oauth.pkce_required",
            expected="code_challenge of 43 characters with code_challenge_method S256",
            actual=f"{len(challenge)} characters, method {method or 'absent'}",
        )


def check_nonce(raw: RawRequest) -> None:
    """A nonce stands in where PKCE does not (RFC 9700 section 2.1.1); it is echoed, so it is bounded."""
    nonce = raw.value("nonce")
    if len(nonce) > limits.NONCE_CHARS:
        raise InvalidRequest("nonce", detail="nonce", expected=f"at most {limits.NONCE_CHARS}", actual=len(nonce))
    if not nonce and not raw.value("code_challenge"):
        raise InvalidRequest("nonce", code="oauth.nonce_required", expected="a nonce", actual="absent")


def check_prompt(raw: RawRequest) -> None:
    """`prompt` holds known values, and `none` stands alone (OpenID Connect Core 3.1.2.1)."""
    prompts = raw.words("prompt")
    if not set(prompts) <= set(PROMPTS) or ("none" in prompts and len(prompts) > 1):
        expected = "none, or any of login, consent and select_account"
        raise InvalidRequest("prompt", detail="prompt", expected=expected, actual=raw.value("prompt"))


def check_max_age(raw: RawRequest) -> None:
    """`max_age` is a number of seconds."""
    max_age = raw.value("max_age")
    if max_age and not _MAX_AGE.fullmatch(max_age):
        raise InvalidRequest("max_age", detail="max_age", expected="seconds in at most 9 digits", actual=max_age)


# The order matters: the redirect URI is one of this client's, and nothing is sent to it before that is known.
def check_contexts(raw: RawRequest) -> None:
    """acr_values names a few contexts (OpenID Connect Core 3.1.2.1)."""
    contexts = raw.words("acr_values")
    if len(contexts) > limits.CONTEXTS or any(len(one) > limits.CONTEXT_CHARS for one in contexts):
        raise InvalidRequest("acr_values", expected=f"at most {limits.CONTEXTS} contexts", actual=len(contexts))


TRUST_CHECKS: tuple[Check, ...] = (
    check_client,
    check_client_signs_people_on,
    check_application_enabled,
    check_redirect_uri,
)
REQUEST_CHECKS: tuple[Check, ...] = (
    check_characters,
    check_pushed,
    check_resource,
    check_no_repeats,
    check_response_mode,
    check_response_type,
    check_no_request_object,
    check_no_registration,
    check_scope,
    check_pkce,
    check_nonce,
    check_prompt,
    check_max_age,
    check_contexts,
    check_dpop_thumbprint,
)
