"""From a proposal to a permission: the one function that every grant passes, so that no second path can skip it.

For our own userinfo endpoint the application's release rule decides what is told. For a resource the flow register
does (broker.registry.flows), whatever the grant.
"""

from collections.abc import Mapping
from datetime import datetime

from broker.directory.models import Person
from broker.errors import BrokerError
from broker.registry.flow_use import touch_flow
from broker.registry.flows import FlowQuestion, permit
from broker.registry.models import Client, Flow
from broker.tokens.attempts import Attempt
from broker.tokens.errors import InvalidScope, InvalidTarget
from broker.tokens.grants.base import Permitted, Proposal

SCOPE_CODES = frozenset({"flow.scope", "flow.scope_unknown"})


def authorize_grant(
    proposal: Proposal, *, client: Client, confirmation: Mapping[str, str], attempt: Attempt, now: datetime
) -> Permitted:
    """What may be issued of `proposal`. Raises InvalidScope, or InvalidTarget with the register's code.

    Scopes only narrow: what is asked, what the presented grant reaches and what the flow allows must all hold.
    """
    _check_ceiling(proposal)
    if proposal.resource is None:
        return Permitted(proposal.scopes or proposal.ceiling or (), confirmation=confirmation)
    try:
        allowed = permit(
            FlowQuestion(
                client=client,
                grant=proposal.grant_type,
                resource=proposal.resource,
                scopes=proposal.scopes,
                subject_class=_subject_class(proposal),
                impersonation=proposal.impersonation,
                now=now,
            ),
            actor=attempt.actor,
            trace=attempt.trace,
        )
    except BrokerError as error:
        kind = InvalidScope if error.code in SCOPE_CODES else InvalidTarget
        raise kind(
            "flow", code=error.code, detail=error.detail, expected=error.expected, actual=error.actual
        ) from error
    reached = allowed.scopes if proposal.ceiling is None else tuple(s for s in allowed.scopes if s in proposal.ceiling)
    if not reached:
        raise InvalidScope("nothing_left", expected=" ".join(allowed.scopes), actual=" ".join(proposal.ceiling or ()))
    if allowed.flow_id is not None:
        touch_flow(allowed.flow_id, now=now)
    return Permitted(
        reached,
        ends_at=allowed.ends_at,
        flow_id=allowed.flow_id,
        confirmation=confirmation,
        warnings=allowed.warnings,
    )


def _check_ceiling(proposal: Proposal) -> None:
    if proposal.ceiling is not None and not set(proposal.scopes) <= set(proposal.ceiling):
        raise InvalidScope("widened", expected=" ".join(proposal.ceiling), actual=" ".join(proposal.scopes))


def _subject_class(proposal: Proposal) -> Flow.SubjectClass:
    return Flow.SubjectClass.PERSON if isinstance(proposal.subject, Person) else Flow.SubjectClass.CLIENT
