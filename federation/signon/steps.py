"""A step of the browser, and the one that leads to an identity provider."""

import re
import secrets
import uuid
from dataclasses import dataclass, replace

from django.db import transaction

from broker.errors import BrokerError
from broker.registry.models import IdentityProvider
from broker.statements import Change, Parameter, insert
from federation.assertions import Answer
from federation.signon.attempts import Attempt
from federation.signon.judging import question
from federation.signon.models import LoginRequest
from federation.upstream.connectors import connector_for

State = LoginRequest.State
RELAY_STATE_BYTES = 24
_RELAY_STATE = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Step:
    """Where the browser goes next, and the session cookie that it gets on the way."""

    answer: Answer | None = None
    """To the application or to the identity provider; None: the person is asked for the identity provider."""
    login: LoginRequest | None = None
    session_handle: str = ""


def make_relay_state() -> str:
    """A new handle of a login request, which the browser carries."""
    return secrets.token_urlsafe(RELAY_STATE_BYTES)


def is_relay_state(text: str) -> bool:
    """Whether `text` could be a handle of our making."""
    return _RELAY_STATE.fullmatch(text) is not None


def send_upstream(
    login: LoginRequest, identity_provider: IdentityProvider, *, attempt: Attempt, login_hint: str = ""
) -> Step:
    """Store that this identity provider is asked now, and ask it. An answer to an earlier question counts no more.

    Raises BrokerError("signon.unknown") when an answer came meanwhile: a sign-on that was judged does not begin anew.
    """
    attempt.connection = identity_provider.slug
    is_new = login._state.adding
    login.identity_provider = identity_provider
    login.upstream_request_id = f"_{uuid.uuid4().hex}{secrets.token_hex(4)}"
    login.state = State.WAITING
    asked = replace(question(login, identity_provider), login_hint=login_hint)
    answer = connector_for(identity_provider).start(identity_provider, asked, trace=attempt.trace)
    with transaction.atomic():
        if is_new:
            insert(login, is_soon_durable=True)
        elif not _WAIT.count(
            id=login.pk,
            identity_provider=identity_provider.pk,
            upstream_request_id=login.upstream_request_id,
        ):
            raise BrokerError("signon.unknown", expected="a sign-on without an answer", actual="answered meanwhile")
        attempt.save()
    return Step(answer=answer, login=login)


_WAIT = Change(
    lambda: LoginRequest.objects.filter(id=Parameter(LoginRequest, "id"), state__in=[State.CHOOSING, State.WAITING]),
    is_soon_durable=True,
    identity_provider=Parameter(LoginRequest, "identity_provider"),
    upstream_request_id=Parameter(LoginRequest, "upstream_request_id"),
    state=State.WAITING,
)
