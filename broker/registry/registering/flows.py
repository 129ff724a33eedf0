"""Flows: who may get which token for what, proposed and approved."""

from collections.abc import Iterable
from datetime import date
from typing import Any, TypedDict, Unpack

from django.db import transaction

from broker.actors import Actor
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


@transaction.atomic
def create_flow(client: Client, *, grant: str, resource: Resource, actor: Actor, **fields: Unpack[FlowFields]) -> Flow:
    """Record a flow, approved or only proposed. Raises BadValue."""
    flow = Flow(client=client, grant=grant, resource=resource, **_columns(fields))
    _settle(flow, approved_by=fields.get("approved_by", ""))
    _check(flow)
    flow.save()
    told = _columns(fields) | {"state": flow.state, "approved_by": flow.approved_by}
    record_created("flow", flow_key(flow), actor=actor, fields=told)
    return flow


@transaction.atomic
def change_flow(flow: Flow, *, actor: Actor, **fields: Unpack[FlowFields]) -> Flow:
    """Change what `fields` names; no event when nothing differs. Raises BadValue.

    An approval was given to the flow as it stood: a change that names no approver makes it a proposal again.
    """
    flow = Flow.objects.select_for_update().get(pk=flow.pk)
    approval = {"state": flow.state, "approved_by": flow.approved_by}
    changes = assign(flow, _columns(fields))
    if changes or fields.get("approved_by", flow.approved_by) != flow.approved_by:
        _settle(flow, approved_by=fields.get("approved_by", ""))
        changes |= {
            name: (before, getattr(flow, name)) for name, before in approval.items() if before != getattr(flow, name)
        }
    if changes:
        _check(flow)
        flow.save()
        record_changed("flow", flow_key(flow), actor=actor, changes=changes)
    return flow


@transaction.atomic
def retire_flow(flow: Flow, *, actor: Actor) -> None:
    """End a flow; the book keeps what it was."""
    ended = {"scopes": flow.scopes, "purpose": flow.purpose, "approved_by": flow.approved_by, "expires": flow.expires}
    record_retired("flow", flow_key(flow), actor=actor, fields=ended)
    flow.delete()


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


def _check(flow: Flow) -> None:
    check_row(flow)
    missing = [name for name in ("owner", "purpose", "expires") if not getattr(flow, name)]
    if missing:
        raise BadValue(f"a flow needs its {', '.join(missing)}")
    unknown = [scope for scope in flow.scopes if scope not in flow.resource.scopes]
    if unknown:
        raise BadValue(f"{flow.resource.identifier} has no scope {', '.join(unknown)}")
    for scope in flow.scopes:
        values.scope(scope)
