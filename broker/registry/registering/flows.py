"""Flows: who may get which token for what, proposed and approved."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, TypedDict, Unpack

from django.db import transaction

from broker.actors import Actor
from broker.approvals.humans import is_operator
from broker.approvals.models import Approval
from broker.approvals.services import request_approval, withdraw_for
from broker.errors import BrokerError
from broker.registry import values
from broker.registry.models import Client, Flow, Resource
from broker.registry.registering.changes import (
    assign,
    check_row,
    record_changed,
    record_created,
    record_retired,
)
from broker.registry.values import BadValue

APPROVAL_KIND = "flow"
TITLE_CHARS = 200
PERSONAL = "person"
"""A data class with this in its name (personal, person.contact, …) is about people."""


class FlowFields(TypedDict, total=False):
    """What can be said of a flow; what is left out stays as it is."""

    scopes: list[str]
    subject_class: str
    impersonation: bool
    purpose: str
    data_classes: list[str]
    owner: str
    approved_by: str
    """Approves the flow as it then stands, unless it `needs_second_approval`."""
    expires: date


def needs_second_approval(*, data_classes: Iterable[str], impersonation: bool) -> bool:
    """Whether a file may only propose the flow: it concerns people's data, or a client that acts as a person."""
    return impersonation or any(PERSONAL in data_class.lower() for data_class in data_classes)


def is_narrower(changes: Mapping[str, tuple[Any, Any]]) -> bool:
    """Whether {field: (before, after)} allows nothing that was not approved before."""
    narrower: dict[str, Callable[[Any, Any], bool]] = {
        "scopes": lambda before, after: set(after) <= set(before),
        "expires": lambda before, after: before is not None and after is not None and after <= before,
        "impersonation": lambda before, after: before and not after,
        "owner": lambda _, after: bool(after),
    }
    return all(name in narrower and narrower[name](*change) for name, change in changes.items())


@transaction.atomic
def create_flow(client: Client, *, grant: str, resource: Resource, actor: Actor, **fields: Unpack[FlowFields]) -> Flow:
    """Record a flow, approved or only proposed. Raises BadValue."""
    flow = Flow(client=client, grant=grant, resource=resource, proposed_by=actor.identifier, **_columns(fields))
    _settle(flow, approved_by=fields.get("approved_by", ""))
    check_flow(flow)
    flow.save()
    told = _columns(fields) | {"state": flow.state, "approved_by": flow.approved_by}
    record_created("flow", flow_key(flow), actor=actor, fields=told)
    _follow_up(flow, before={}, actor=actor)
    return flow


@transaction.atomic
def change_flow(flow: Flow, *, actor: Actor, **fields: Unpack[FlowFields]) -> Flow:
    """Change what `fields` names; no event when nothing differs. Raises BadValue.

    An approval was given to the flow as it stood: a change that names no approver makes it a proposal again, unless
    it only takes something away or names another owner.
    """
    flow = Flow.objects.select_for_update().get(pk=flow.pk)
    before, approval = summary(flow), {"state": flow.state, "approved_by": flow.approved_by}
    changes = assign(flow, _columns(fields))
    if changes or fields.get("approved_by", flow.approved_by) != flow.approved_by:
        if flow.ended_at is not None:
            raise BadValue(f"{flow.ended_by} ended this flow; renew it in the console, where that is approved")
        if not (flow.state == Flow.State.APPROVED and "approved_by" not in fields and is_narrower(changes)):
            _settle(flow, approved_by=fields.get("approved_by", ""))
        changes |= {
            name: (before, getattr(flow, name)) for name, before in approval.items() if before != getattr(flow, name)
        }
    if changes:
        flow.proposed_by = actor.identifier
        flow.told_days = None
        check_flow(flow)
        flow.save()
        record_changed("flow", flow_key(flow), actor=actor, changes=changes)
        _follow_up(flow, before=before, actor=actor)
    return flow


@transaction.atomic
def retire_flow(flow: Flow, *, actor: Actor) -> None:
    """Take a flow out of the register; the book keeps what it was."""
    ended = {"scopes": flow.scopes, "purpose": flow.purpose, "approved_by": flow.approved_by, "expires": flow.expires}
    withdraw_for(APPROVAL_KIND, flow.pk, reason="the flow was retired", actor=actor)
    record_retired("flow", flow_key(flow), actor=actor, fields=ended)
    flow.delete()


def ask_for_approval(flow: Flow, *, before: Mapping[str, object], actor: Actor) -> Approval:
    """Let a second operator decide the flow as it stands; `actor` is the one who proposes it. Raises BrokerError."""
    title = f"Flow {flow_key(flow)}"[:TITLE_CHARS]
    return request_approval(
        APPROVAL_KIND, subject=("flow", flow.pk), title=title, before=before, after=summary(flow), actor=actor
    )


def summary(flow: Flow) -> dict[str, str]:
    """What an approver reads of a flow: {what: how it stands}."""
    return {
        "client": flow.client.client_id,
        "grant": flow.grant,
        "resource": flow.resource.identifier,
        "scopes": " ".join(flow.scopes),
        "tokens speak for": flow.subject_class,
        "impersonation": "yes" if flow.impersonation else "no",
        "data classes": ", ".join(flow.data_classes),
        "purpose": flow.purpose,
        "owner": flow.owner,
        "last day": str(flow.expires or ""),
    }


def absorb_drafts(flow: Flow) -> None:
    """What requests asked for and `flow` now allows needs no proposal any more; its evidence goes over to the flow."""
    drafts = Flow.objects.filter(
        client=flow.client, grant=flow.grant, resource=flow.resource, subject_class=flow.subject_class,
        is_draft=True, owner="",
    ).exclude(pk=flow.pk)  # fmt: skip
    for draft in drafts:
        if set(draft.scopes) <= set(flow.scopes) and flow.impersonation >= draft.impersonation:
            draft.evidence.update(flow=flow)
            draft.delete()


def flow_key(flow: Flow) -> str:
    """`<client> <grant> <resource>`: none of the three holds a space."""
    return f"{flow.client.client_id} {flow.grant} {flow.resource.identifier}"


def _columns(fields: FlowFields) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "approved_by"}


def _settle(flow: Flow, *, approved_by: str) -> None:
    second = needs_second_approval(data_classes=flow.data_classes, impersonation=flow.impersonation)
    approved = bool(approved_by) and not second
    flow.state = Flow.State.APPROVED if approved else Flow.State.PROPOSED
    flow.approved_by = approved_by if approved else ""


def _follow_up(flow: Flow, *, before: Mapping[str, object], actor: Actor) -> None:
    """An approved flow makes drafts superfluous; one that an operator proposes waits for a second one at once."""
    if flow.state == Flow.State.APPROVED:
        absorb_drafts(flow)
        withdraw_for(APPROVAL_KIND, flow.pk, reason="approved otherwise", actor=actor)
    elif is_operator(actor) and needs_second_approval(data_classes=flow.data_classes, impersonation=flow.impersonation):
        try:
            ask_for_approval(flow, before=before, actor=actor)
        except BrokerError as error:
            raise BadValue(error.refusal.meaning) from error


def check_flow(flow: Flow) -> None:
    """Raise BadValue unless everything is said of the flow that one has to say, and its resource has its scopes."""
    check_row(flow)
    missing = [name for name in ("scopes", "owner", "purpose", "expires") if not getattr(flow, name)]
    if missing:
        raise BadValue(f"a flow needs its {', '.join(missing)}")
    unknown = [scope for scope in flow.scopes if scope not in flow.resource.scopes]
    if unknown:
        raise BadValue(f"{flow.resource.identifier} has no scope {', '.join(unknown)}")
    for scope in flow.scopes:
        values.scope(scope)
