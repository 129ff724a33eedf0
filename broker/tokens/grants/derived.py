"""What token exchange and assertion grants share: a proposal, and a grant that ends with what it came from."""

from collections.abc import Callable, Mapping
from datetime import datetime

from broker.directory.models import Person
from broker.events.catalogue import EventType
from broker.registry.models import Client
from broker.tokens.attempts import Attempt
from broker.tokens.checks import run_checks
from broker.tokens.delegation import (
    DELEGATION_CHECKS,
    Delegation,
    becomes_subject,
    ceiling_of,
    chain_of,
    lineage_of,
)
from broker.tokens.errors import SubjectTokenRefused
from broker.tokens.families import hold_grants
from broker.tokens.grants.base import Permitted, Proposal, Taken
from broker.tokens.issuing import lifetime_of
from broker.tokens.models import Grant, RevokedToken


def propose_derived(
    delegation: Delegation,
    *,
    grant_type: str,
    scopes: tuple[str, ...],
    event: EventType,
    evidence: Mapping[str, str],
    attempt: Attempt,
    issued_token_type: str = "",
    claim: Callable[[], None] = lambda: None,
) -> Proposal:
    """The proposal of a client that presents another's token, after DELEGATION_CHECKS; see those for what it raises.

    `grant_type` is as the flow register names it. `claim` uses up what works once, in the transaction that issues.
    """
    run_checks(DELEGATION_CHECKS, delegation, trace=attempt.trace)
    token, actor = delegation.token, delegation.actor
    impersonation = becomes_subject(delegation, grant=grant_type)

    def take(permitted: Permitted) -> Taken:
        claim()
        return Taken(_open_grant(delegation, proposal, permitted))

    proposal = Proposal(
        grant_type=grant_type,
        subject=token.subject,
        scopes=scopes,
        ceiling=ceiling_of(delegation),
        resource=delegation.resource,
        session=token.session,
        identity_provider=token.identity_provider,
        actors=() if impersonation else chain_of(delegation),
        impersonation=impersonation,
        not_after=min(token.expires_at, actor.expires_at) if actor else token.expires_at,
        bound_to=_binding(delegation),
        issued_token_type=issued_token_type,
        event=event,
        evidence={**_origin(delegation), **evidence},
        take=take,
    )
    return proposal


def _binding(delegation: Delegation) -> Mapping[str, str]:
    """The client's own token comes with the key to which it is bound. Of one that was sent to it, the sender has it."""
    access = delegation.token.access
    return {} if access is None or access.client.pk != delegation.client.pk else dict(access.claims.get("cnf", {}))


def _origin(delegation: Delegation) -> dict[str, str]:
    """What the book keeps of the tokens that were presented."""
    token, actor = delegation.token, delegation.actor
    origin = {"subject_token": token.identifier}
    if token.grant is not None:
        origin["parent"] = str(token.grant.pk)
    if actor is not None:
        origin |= {"actor_token": actor.jti, "actor_parent": str(actor.grant.pk)}
    return origin


def _open_grant(delegation: Delegation, proposal: Proposal, permitted: Permitted) -> Grant:
    """The new grant. The rows of what it came from are held until it is there.

    So a revocation at the same moment either finds it and ends it, or came before. Raises SubjectTokenRefused.
    """
    _hold_origin(delegation)
    token, actor = delegation.token, delegation.actor
    person = token.subject if isinstance(token.subject, Person) else None
    subject_client = token.subject if isinstance(token.subject, Client) else None
    ends: list[datetime | None] = [
        delegation.now + lifetime_of(delegation.resource),
        proposal.not_after,
        permitted.ends_at,
    ]
    return Grant.objects.create(
        client=delegation.client,
        grant_type=proposal.grant_type,
        resource=delegation.resource,
        person=person,
        subject_client=subject_client,
        session=token.session,
        identity_provider=token.identity_provider if token.session is None else None,
        parent=token.grant,
        parent_token=token.access.jti if token.access else "",
        actor_parent=actor.grant if actor else None,
        actor_token=actor.jti if actor else "",
        lineage=[dict(ancestor) for ancestor in lineage_of(token)],
        actors=[dict(one) for one in proposal.actors],
        impersonation=proposal.impersonation,
        scopes=list(permitted.scopes),
        authenticated_at=token.authenticated_at,
        context=token.context,
        methods=list(token.methods),
        created_at=delegation.now,
        expires_at=min(end for end in ends if end is not None),
    )


def _hold_origin(delegation: Delegation) -> None:
    token, actor = delegation.token, delegation.actor
    grants = {grant.pk for grant in (token.grant, actor.grant if actor else None) if grant is not None}
    if hold_grants(grants) < len(grants):
        raise SubjectTokenRefused("revoked", detail="at the same moment")
    presented = [access.jti for access in (token.access, actor) if access is not None]
    if RevokedToken.objects.filter(jti__in=presented).exists():
        raise SubjectTokenRefused("token_revoked", detail="at the same moment")
