"""The logout request of an application (OpenID Connect RP-Initiated Logout 1.0 section 2), judged and carried on."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from urllib.parse import urlencode

from broker import crypto, limits
from broker.errors import BrokerError
from broker.registry.models import Client
from broker.tokens.clients import find_named_client
from broker.tokens.printable import is_printable
from broker.tokens.verification import OUTLIVED_HINTS, VerifiedHint, verify_id_token_hint
from broker.traces.collector import Collector
from broker.wording import in_words

CONTEXT = "logout.request"
READ = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """A logout request of which every check has passed. Empty texts stand for what was not sent."""

    application: str
    """The slug of the application that asks."""
    participant_id: str
    """From a verified ID token: whose part of which session is to end."""
    return_url: str
    """A registered post_logout_redirect_uri, with the state."""


OWN_WISH = LogoutRequest(application="", participant_id="", return_url="")
"""The person leaves, and no application asked."""


@dataclass(frozen=True, slots=True)
class RawLogout:
    """The parameters as they came, and what was found of them."""

    raw_parameters: Mapping[str, list[str]] = field(repr=False)
    named: Client | None = None
    hint: VerifiedHint | None = None

    def value(self, name: str) -> str:
        return (self.raw_parameters.get(name) or [""])[0]

    @property
    def client(self) -> Client | None:
        """The client that asks, by its ID token or by its name."""
        return self.hint.client if self.hint else self.named


def check_parameters(raw: RawLogout) -> None:
    """What is read stands once and is printable."""
    for name in READ:
        values = raw.raw_parameters.get(name, [])
        if len(values) > 1 or not all(is_printable(value) for value in values):
            raise BrokerError("oauth.invalid_request", detail=name, expected="once, in printable text")


def check_client(raw: RawLogout) -> None:
    """A client that is named is registered, and is the one that the ID token was for."""
    if raw.value("client_id") and raw.named is None:
        raise BrokerError("oauth.unknown_client", expected="a registered client", actual=raw.value("client_id")[:200])
    if raw.named and raw.hint and raw.named.pk != raw.hint.client.pk:
        expected, actual = raw.hint.client.client_id, raw.named.client_id
        raise BrokerError("oauth.invalid_request", detail="client_id", expected=expected, actual=actual)


def check_return_url(raw: RawLogout) -> None:
    """The address to return to equals a registered one of this client, letter by letter."""
    sent = raw.value("post_logout_redirect_uri")
    registered = raw.client.post_logout_redirect_uris if raw.client else []
    if sent and sent not in registered:
        raise BrokerError("oauth.redirect_uri", expected=" or ".join(registered) or "none", actual=sent)


CHECKS: tuple[Callable[[RawLogout], None], ...] = (check_parameters, check_client, check_return_url)


def read_logout_request(raw_parameters: Mapping[str, list[str]], *, now: datetime, trace: Collector) -> LogoutRequest:
    """Judge a logout request; unknown parameters, `logout_hint` and `ui_locales` among them, are ignored.

    Raises BrokerError (oauth.invalid_request, oauth.unknown_client, oauth.redirect_uri), always for a page of ours.
    """
    check_parameters(RawLogout(raw_parameters))
    bare = RawLogout(raw_parameters)
    hint = _read_hint(bare.value("id_token_hint"), now=now, trace=trace)
    raw = RawLogout(raw_parameters, find_named_client(bare.value("client_id")), hint)
    for check in CHECKS:
        name = f"logout.{check.__name__.removeprefix('check_')}"
        try:
            check(raw)
        except BrokerError as error:
            trace.check(name, passed=False, expected=error.expected, actual=error.actual)
            raise
        trace.check(name, passed=True)
    return LogoutRequest(
        application=raw.client.application.slug if raw.client and raw.client.application else "",
        participant_id=str(hint.participant_id) if hint else "",
        return_url=_with_state(raw.value("post_logout_redirect_uri"), raw.value("state")),
    )


def seal_request(asked: LogoutRequest, *, now: datetime) -> str:
    """A judged request for the browser to come back with, unreadable and unchangeable."""
    until = int((now + limits.LOGOUT_REQUEST_LIFETIME).timestamp())
    return crypto.seal(json.dumps(asdict(asked) | {"until": until}).encode(), context=CONTEXT)


def open_request(sealed: str, *, now: datetime) -> LogoutRequest:
    """The request that `seal_request` sealed. Raises BrokerError (signon.unknown, signon.expired)."""
    try:
        carried = json.loads(crypto.unseal(sealed, context=CONTEXT))
    except crypto.UnsealError as error:
        raise BrokerError("signon.unknown", detail="a logout request that we did not seal") from error
    if now.timestamp() >= carried.pop("until"):
        raise BrokerError("signon.expired", expected=f"an answer within {in_words(limits.LOGOUT_REQUEST_LIFETIME)}")
    return LogoutRequest(**carried)


def _read_hint(token: str, *, now: datetime, trace: Collector) -> VerifiedHint | None:
    if not token:
        return None
    try:
        return verify_id_token_hint(token, now=now, trace=trace)
    except BrokerError as error:
        # An old one counts as not sent: the person is asked, as for every request without one.
        if error.code in OUTLIVED_HINTS:
            trace.note("The ID token is too old to say who is leaving.", code=error.code)
            return None
        detail = f"id_token_hint: {error.code}"
        raise BrokerError(
            "oauth.invalid_request", detail=detail, expected=error.expected, actual=error.actual
        ) from error


def _with_state(return_url: str, state: str) -> str:
    if not return_url or not state:
        return return_url
    glue = "" if return_url.endswith(("?", "&")) else "&" if "?" in return_url else "?"
    return f"{return_url}{glue}{urlencode({'state': state})}"
