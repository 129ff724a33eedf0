"""Flows in the console: proposals completed, approved and refused, flows renewed and ended."""

from datetime import datetime
from typing import Any, TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from broker.actors import Actor
from broker.approvals.services import withdraw_for
from broker.events import catalogue
from broker.events.services import record
from broker.registry.cache import raise_version
from broker.registry.models import Flow
from broker.registry.registering.changes import assign, record_changed
from broker.registry.registering.flows import (
    APPROVAL_KIND,
    absorb_drafts,
    ask_for_approval,
    check_flow,
    flow_key,
    needs_second_approval,
    summary,
)
from broker.registry.values import BadValue

APPROVABLE = ("scopes", "subject_class", "impersonation", "purpose", "data_classes", "owner", "expires")


class FlowWish(TypedDict):
    """Everything that one operator says of a flow, and another one may have to approve."""

    scopes: list[str]
    subject_class: str
    impersonation: bool
    purpose: str
    data_classes: list[str]
    owner: str
    expires: Any
    """A date."""


@transaction.atomic
def propose_flow(flow: Flow, *, actor: Actor, **wish: Unpack[FlowWish]) -> Flow:
    """Complete a proposal, or draft what shall replace an approved flow, which goes on meanwhile. Returns the proposal.

    `actor` is its proposer from now on. What concerns people's data or impersonation waits for a second operator in
    broker.approvals. Raises BadValue, and BrokerError as request_approval does.
    """
    flow = Flow.objects.select_for_update().get(pk=flow.pk)
    if flow.state == Flow.State.APPROVED:
        proposal = Flow(client=flow.client, grant=flow.grant, resource=flow.resource, is_draft=True)
    else:
        proposal = flow
    changes = assign(proposal, wish)
    if proposal.state != Flow.State.PROPOSED:
        changes["state"] = (proposal.state, str(Flow.State.PROPOSED))
        proposal.state = Flow.State.PROPOSED
    proposal.proposed_by = actor.identifier
    check_flow(proposal)
    proposal.save()
    record_changed("flow", flow_key(proposal), actor=actor, changes=changes)
    if needs_second_approval(data_classes=proposal.data_classes, impersonation=proposal.impersonation):
        standing = standing_flow(proposal)
        ask_for_approval(proposal, before=summary(standing) if standing else {}, actor=actor)
    return proposal


@transaction.atomic
def approve_flow(flow: Flow, *, proposed_by: str, approved_by: str, actor: Actor) -> Flow:
    """Bring a complete proposal into force. Returns the registered flow: a draft is taken over by the one it replaces.

    Whether a second operator is needed is the caller's question. Raises BadValue.
    """
    flow = Flow.objects.select_for_update().get(pk=flow.pk)
    if flow.state != Flow.State.PROPOSED:
        raise BadValue("only a proposal can be approved")
    check_flow(flow)
    registered = standing_flow(flow, locked=True) or flow
    before = {name: getattr(registered, name) for name in ("state", "approved_by", "ended_at")}
    changes = assign(registered, {name: getattr(flow, name) for name in APPROVABLE})
    if registered.pk != flow.pk:
        flow.evidence.update(flow=registered)
        flow.delete()
    registered.state, registered.is_draft = Flow.State.APPROVED, False
    registered.proposed_by, registered.approved_by = proposed_by, approved_by
    registered.ended_at, registered.ended_by, registered.told_days = None, "", None
    registered.save()
    changes |= {name: (was, getattr(registered, name)) for name, was in before.items()}
    changes = {name: change for name, change in changes.items() if change[0] != change[1]}
    record_changed("flow", flow_key(registered), actor=actor, changes=changes)
    absorb_drafts(registered)
    return registered


@transaction.atomic
def approve_alone(flow: Flow, *, approved_by: str, actor: Actor) -> Flow:
    """Approve a proposal that no second operator has to see; `approved_by` is an operator's e-mail. Raises BadValue."""
    flow = Flow.objects.select_for_update().get(pk=flow.pk)
    if needs_second_approval(data_classes=flow.data_classes, impersonation=flow.impersonation):
        raise BadValue("it concerns people's data or impersonation: a second operator approves it")
    return approve_flow(flow, proposed_by=flow.proposed_by, approved_by=approved_by, actor=actor)


@transaction.atomic
def refuse_flow(flow: Flow, *, actor: Actor) -> Flow:
    """Keep a proposal as a refused one, so that the same request does not propose it again. Raises BadValue."""
    flow = Flow.objects.select_for_update().get(pk=flow.pk)
    if flow.state != Flow.State.PROPOSED:
        raise BadValue("only a proposal can be refused")
    flow.state = Flow.State.REFUSED
    flow.save(update_fields=["state"])
    changes = {"state": (str(Flow.State.PROPOSED), str(Flow.State.REFUSED))}
    record_changed("flow", flow_key(flow), actor=actor, changes=changes)
    return flow


@transaction.atomic
def end_flow(flow: Flow, *, actor: Actor, now: datetime | None = None) -> Flow:
    """Stop a flow from the next request on, in every mode of its client. It can be proposed and approved again."""
    now = now or timezone.now()
    flow = Flow.objects.select_for_update().get(pk=flow.pk)
    if flow.ended_at is None:
        flow.ended_at, flow.ended_by = now, actor.identifier
        flow.save(update_fields=["ended_at", "ended_by"])
        withdraw_for(APPROVAL_KIND, flow.pk, reason="the flow was ended", actor=actor)
        record(
            catalogue.FLOW_ENDED,
            actor=actor,
            subject=("flow", flow.pk),
            flow=flow_key(flow),
            last_day=str(flow.expires or ""),
        )
        raise_version()
    return flow


def standing_flow(flow: Flow, *, locked: bool = False) -> Flow | None:
    """The registered flow that a draft replaces; None for a registered flow, and where none stands.

    `locked` until the transaction ends, for who decides by it.
    """
    if not flow.is_draft:
        return None
    rows = Flow.objects.select_for_update(of=("self",)) if locked else Flow.objects.all()
    registered = rows.filter(client_id=flow.client_id, grant=flow.grant, resource_id=flow.resource_id, is_draft=False)
    return registered.select_related("client", "resource").first()
