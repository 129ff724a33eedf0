"""Who acts for whom from one token to the next, and how far (RFC 8693 sections 1.1, 4.1 and 4.4).

Whoever exchanges a token becomes its actor, before those whom the token names already; a chain only grows. A token that
names an actor is exchanged by that actor, or by a client to which that actor handed its own token along with it: the
actor's client token is the proof that it takes part. An actor token confirms one of these two and never puts a third
client into the chain. Only a flow with `impersonation` leaves the actor out, and never where a token already names one,
or names who may be one.

Scopes are names within a resource. For the same resource a token's scopes are the ceiling. For another resource the
flow says what is allowed there, except that a scope which an earlier resource knows under the same name must stand in
the token for it: so neither resources that share their scopes nor a way back to the first one widen anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from broker import limits
from broker.registry.models import Client, Flow, Resource
from broker.registry.services import find_resource, flows_of
from broker.tokens.errors import ActorTokenRefused, DelegationRefused, SubjectTokenRefused
from broker.tokens.issuing import userinfo_audience
from broker.tokens.liveness import LiveToken
from broker.tokens.subject_tokens import SubjectToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """A client that wants a token for a resource in exchange for another one. `actor` is a verified actor token."""

    token: SubjectToken
    actor: LiveToken | None
    client: Client
    resource: Resource
    now: datetime


def actor_of(client: Client) -> dict[str, str]:
    """A client as `act` names it."""
    return {"sub": client.client_id, "client_id": client.client_id}


def chain_of(delegation: Delegation) -> tuple[Mapping[str, Any], ...]:
    """Who acts for the subject in the new token, the client that exchanges first."""
    return (actor_of(delegation.client), *delegation.token.actors)


def lineage_of(token: SubjectToken) -> tuple[Mapping[str, Any], ...]:
    """The tokens of ours that were exchanged until the new one, the presented one first."""
    if token.grant is None:
        return ()
    before = tuple(token.grant.lineage)
    access = token.access
    if access is None:
        return ({"client": token.grant.client.client_id, "resource": "", "scopes": []}, *before)
    audience = access.resource.identifier if access.resource else userinfo_audience()
    return ({"client": access.client.client_id, "resource": audience, "scopes": list(access.scopes)}, *before)


def ceiling_of(delegation: Delegation) -> tuple[str, ...] | None:
    """The scopes of the resource that no token on the way withholds; None where none withholds any."""
    withheld: set[str] = set()
    for ancestor in lineage_of(delegation.token):
        passed = find_resource(ancestor["resource"])
        if passed is not None:
            withheld |= set(passed.scopes) - set(ancestor["scopes"])
    if withheld.isdisjoint(delegation.resource.scopes):
        return None
    return tuple(scope for scope in delegation.resource.scopes if scope not in withheld)


def becomes_subject(delegation: Delegation, *, grant: str) -> bool:
    """Whether the new token names no actor: the client's approved flow says so, and nobody speaks of actors."""
    token = delegation.token
    if token.actors or token.may_act is not None or delegation.actor is not None:
        return False
    flows = flows_of(delegation.client.pk, delegation.resource.pk)
    return any(flow.grant == grant and flow.impersonation and flow.state == Flow.State.APPROVED for flow in flows)


def check_meant_for_client(delegation: Delegation) -> None:
    """An access token was sent to a resource of the client's application, or of which the client is the gateway.

    One that the client's application got itself is only narrowed for the same resource; of a sign-on's token for our
    userinfo endpoint the application is whom it is for.
    """
    access = delegation.token.access
    if access is None:
        return
    is_own = _is_of(delegation.client, access.client)
    is_narrowed = access.resource is None or access.resource.pk == delegation.resource.pk
    if not (is_own and is_narrowed) and not _receives(delegation.client, access.resource):
        expected = "a token that was sent to this client, or its own for the same resource"
        raise SubjectTokenRefused("not_meant", expected=expected, actual=access.resource or "userinfo")


def check_session_live(delegation: Delegation) -> None:
    """The person's session goes on, even where the token's own application may go on without it."""
    session = delegation.token.session
    if session is not None and (session.ended_at is not None or session.expires_at <= delegation.now):
        raise SubjectTokenRefused("session")


def check_actor_is_client(delegation: Delegation) -> None:
    """The actor token is one that a client got for itself: people do not act for others here, nor does an actor's."""
    actor = delegation.actor
    if actor is not None and (actor.subject != actor.client or actor.actors):
        raise ActorTokenRefused("subject", expected="a client's own token", actual=actor.claims["sub"])


def check_actor_handed_over(delegation: Delegation) -> None:
    """The actor token is the calling client's, or was sent to it."""
    actor = delegation.actor
    if actor is None or actor.client.pk == delegation.client.pk or _receives(delegation.client, actor.resource):
        return
    raise ActorTokenRefused("not_meant", expected="a token that was sent to this client", actual=actor.resource)


def check_actor_takes_part(delegation: Delegation) -> None:
    """The actor token proves the client that exchanges, or the actor whom the subject token names."""
    if delegation.actor is None:
        return
    known = {delegation.client.client_id, *(actor["client_id"] for actor in delegation.token.actors[:1])}
    proved = delegation.actor.claims["sub"]
    if proved not in known:
        raise ActorTokenRefused("actor", expected=" or ".join(sorted(known)), actual=proved)


def check_present_actor(delegation: Delegation) -> None:
    """Where the subject token names an actor, that actor exchanges it, or is proved by the actor token."""
    if not delegation.token.actors:
        return
    present = delegation.token.actors[0]["client_id"]
    proved = delegation.actor.claims["sub"] if delegation.actor else delegation.client.client_id
    if proved != present:
        raise DelegationRefused("actor", expected=present, actual=proved)


def check_may_act(delegation: Delegation) -> None:
    """Where the subject token names who may act, the client is that one in every member (RFC 8693 section 4.4).

    A name without an issuer is a name at the issuer of the token.
    """
    told = delegation.token.may_act
    if told is None:
        return
    actor = actor_of(delegation.client) | {"iss": settings.BROKER_BASE_URL}
    if not isinstance(told, Mapping) or not {"sub", "client_id"} & told.keys():
        raise DelegationRefused("may_act", expected="a sub or client_id", actual=type(told).__name__)
    for name, value in {"iss": delegation.token.issuer, **told}.items():
        if actor.get(name) != value:
            raise DelegationRefused("may_act", expected=f"{name} {value}", actual=actor.get(name, "none"))


def check_depth(delegation: Delegation) -> None:
    """Neither actors nor exchanges follow on one another more often than `limits.EXCHANGES` allows; circles count."""
    depth = max(len(chain_of(delegation)), len(lineage_of(delegation.token)))
    if depth > limits.EXCHANGES:
        raise DelegationRefused("depth", expected=f"at most {limits.EXCHANGES}", actual=depth)


DELEGATION_CHECKS: tuple[Callable[[Delegation], None], ...] = (
    check_meant_for_client,
    check_session_live,
    check_actor_is_client,
    check_actor_handed_over,
    check_actor_takes_part,
    check_present_actor,
    check_may_act,
    check_depth,
)


def _receives(client: Client, resource: Resource | None) -> bool:
    """Whether tokens for the resource are sent to the client: it, or its application's client, may introspect them."""
    return resource is not None and any(_is_of(client, receiver) for receiver in resource.introspectors.all())


def _is_of(client: Client, other: Client) -> bool:
    if client.pk == other.pk:
        return True
    return client.application_id is not None and client.application_id == other.application_id
