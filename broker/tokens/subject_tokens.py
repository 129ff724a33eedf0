"""What a client presents to say whose token it wants: of which type it is is proven, never believed (RFC 8693 3).

An access token of ours is signed as `at+jwt` and its grant is live; an ID token of ours names the calling client and a
grant that is live; whatever else there is comes from another house and is read by settings.SUBJECT_TOKEN_VERIFIERS.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from broker import limits
from broker.directory.models import Person
from broker.errors import BrokerError
from broker.keys import jose
from broker.registry.cache import parties
from broker.registry.models import Client, IdentityProvider
from broker.sessions.models import Session
from broker.tokens.errors import InvalidRequest
from broker.tokens.issuing import nested_actors
from broker.tokens.liveness import LiveToken, read_live_token
from broker.tokens.models import Grant
from broker.tokens.own_id_tokens import read_own_id_token
from broker.traces.collector import Collector

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
SAML2 = "urn:ietf:params:oauth:token-type:saml2"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSubject:
    """Whom another house's token is about: every check has passed, and the person is one that we know by a link."""

    identity_provider: IdentityProvider
    """With its organisation."""
    person: Person
    authenticated_at: datetime
    context: str
    methods: tuple[str, ...]
    expires_at: datetime
    identifier: str
    """The token's own id at that house; empty where it has none."""
    may_act: object = None
    """The claim as it stands there (RFC 8693 section 4.4); None where it does not."""


class SubjectTokenVerifier(Protocol):
    """Reads one type of token of another house."""

    def __call__(self, raw: str, *, now: datetime, trace: Collector) -> VerifiedSubject:
        """Raises BrokerError with the code of the check that failed, whatever `raw` is."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectToken:
    """A presented token, whichever kind it was: whom it is about, who acts for them, and what stands behind it."""

    subject: Person | Client
    issuer: str
    expires_at: datetime
    grant: Grant | None = None
    """Behind a token of ours."""
    access: LiveToken | None = field(default=None, repr=False)
    """Where it is an access token."""
    actors: tuple[Mapping[str, Any], ...] = ()
    may_act: object = None
    session: Session | None = None
    identity_provider: IdentityProvider | None = None
    authenticated_at: datetime | None = None
    context: str = ""
    methods: tuple[str, ...] = ()
    identifier: str = ""


def read_subject_token(
    raw: str, declared_type: str, *, client: Client, now: datetime, trace: Collector
) -> SubjectToken:
    """The token that `client` presents as one of `declared_type`.

    Raises InvalidRequest for a type that is not offered, and BrokerError when the token is none of that type, is not
    live, or is not meant for us.
    """
    reader = READERS.get(declared_type)
    if reader is None:
        raise InvalidRequest("token_type", expected=" or ".join(READERS), actual=declared_type[:200])
    return reader(raw, declared_type, client, now, trace)


def read_foreign_token(raw: str, kind: str, *, now: datetime, trace: Collector) -> SubjectToken:
    """The token of another house, which is of `kind` in settings.SUBJECT_TOKEN_VERIFIERS. Raises BrokerError."""
    # What is read of identity providers from here on is as new as this moment.
    parties.catch_up()
    verify = cast(SubjectTokenVerifier, import_string(settings.SUBJECT_TOKEN_VERIFIERS[kind]))
    told = verify(raw, now=now, trace=trace)
    return SubjectToken(
        subject=told.person,
        issuer=told.identity_provider.issuer,
        expires_at=told.expires_at,
        may_act=told.may_act,
        identity_provider=told.identity_provider,
        authenticated_at=told.authenticated_at,
        context=told.context,
        methods=told.methods,
        identifier=f"{told.identity_provider.pk} {told.identifier}" if told.identifier else "",
    )


def _read_access_token(raw: str, kind: str, client: Client, now: datetime, trace: Collector) -> SubjectToken:
    del kind, client
    live = read_live_token(raw, now=now, trace=trace)
    # What the token says and what its grant says is one thing; of two, neither is to be believed.
    if live.claims.get("act", {}) != nested_actors(live.actors):
        raise BrokerError("jwt.claim", detail="act", expected="the actors of its grant", actual="others")
    return SubjectToken(
        subject=live.subject,
        issuer=settings.BROKER_BASE_URL,
        expires_at=live.expires_at,
        grant=live.grant,
        access=live,
        actors=live.actors,
        may_act=live.claims.get("may_act"),
        session=live.grant.session,
        identity_provider=live.identity_provider,
        authenticated_at=live.grant.authenticated_at,
        context=live.grant.context,
        methods=tuple(live.grant.methods),
        identifier=live.jti,
    )


def _read_id_token(raw: str, kind: str, client: Client, now: datetime, trace: Collector) -> SubjectToken:
    if jose.unverified_issuer(raw, max_bytes=limits.JWT_ID_TOKEN_BYTES) != settings.BROKER_BASE_URL:
        return read_foreign_token(raw, kind, now=now, trace=trace)
    own = read_own_id_token(raw, client=client, now=now, trace=trace)
    return SubjectToken(
        subject=own.person,
        issuer=settings.BROKER_BASE_URL,
        expires_at=own.expires_at,
        grant=own.grant,
        session=own.grant.session,
        identity_provider=own.identity_provider,
        authenticated_at=own.grant.authenticated_at,
        context=own.grant.context,
        methods=tuple(own.grant.methods),
    )


def _read_saml_assertion(raw: str, kind: str, client: Client, now: datetime, trace: Collector) -> SubjectToken:
    del client
    return read_foreign_token(raw, kind, now=now, trace=trace)


READERS: Mapping[str, Callable[[str, str, Client, datetime, Collector], SubjectToken]] = {
    ACCESS_TOKEN: _read_access_token,
    JWT: _read_access_token,
    ID_TOKEN: _read_id_token,
    SAML2: _read_saml_assertion,
}
"""What may be presented as a subject_token."""
