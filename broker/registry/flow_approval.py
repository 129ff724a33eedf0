"""How a flow comes into force when a second operator approves it."""

from collections.abc import Mapping
from typing import Any

from broker.actors import Actor
from broker.registry.models import Flow
from broker.registry.registering.flow_drafts import APPROVABLE, approve_flow, refuse_flow, standing_flow


class FlowHandler:
    """See broker.approvals.handlers.Handler. The subject is the flow's primary key."""

    page = "admin:registry_flow_change"

    def content(self, subject_id: str) -> Mapping[str, Any] | None:
        """The proposal with what it would replace, so that both are what the approver read; None when it is none."""
        flow = Flow.objects.select_for_update().filter(pk=subject_id, state=Flow.State.PROPOSED).first()
        if flow is None:
            return None
        standing = standing_flow(flow, locked=True)
        key = {"client": flow.client_id, "grant": flow.grant, "resource": flow.resource_id}
        return key | {"after": _columns(flow), "before": _columns(standing) if standing else None}

    def activate(self, subject_id: str, *, proposed_by: str, approved_by: str, actor: Actor) -> None:
        """The proposed flow, or the registered one that it widens, is approved."""
        flow = Flow.objects.get(pk=subject_id)
        approve_flow(flow, proposed_by=proposed_by, approved_by=approved_by, actor=actor)

    def refuse(self, subject_id: str, *, actor: Actor, reason: str) -> None:  # noqa: ARG002 - the approval keeps it
        """The flow stays as a refused one, so that the next request does not propose it again."""
        refuse_flow(Flow.objects.get(pk=subject_id), actor=actor)


def _columns(flow: Flow) -> dict[str, Any]:
    return {name: getattr(flow, name) for name in APPROVABLE} | {"expires": str(flow.expires)}


HANDLER = FlowHandler()
