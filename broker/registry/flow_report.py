"""The register as an auditor asks for it: every system, flow and credential, and who authorised it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, Sum

from broker import limits
from broker.registry.credentials import list_credentials
from broker.registry.models import Client, Flow

NO_FLOW = "no flow"
UNUSED = f"not used for {limits.FLOW_UNUSED.days} days"
ENDED = "ended"
ASKED = "asked for, nobody's yet"
NOT_APPROVED = "not approved"
OUTSIDE = "asked for more"
WITHOUT_OWNER = "no owner"


@dataclass(frozen=True, slots=True)
class CredentialLine:
    """How a client proves, or proved, who it is. Moments are ISO texts; nothing here is secret."""

    kind: str
    name: str
    is_live: bool
    created: str
    ends: str
    last_used: str
    last_used_from: str


@dataclass(frozen=True, slots=True)
class FlowLine:
    """One flow, with who authorised it and what an auditor has to look at (`marks`)."""

    grant: str
    resource: str
    scopes: tuple[str, ...]
    subject_class: str
    impersonation: bool
    data_classes: tuple[str, ...]
    purpose: str
    owner: str
    state: str
    proposed_by: str
    approved_by: str
    last_day: str
    ended_at: str
    last_used: str
    asked_outside: int
    """How often something was asked for that it does not allow."""
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClientLine:
    """One client with its system, its credentials and its flows."""

    client_id: str
    application: str
    owner: str
    kind: str
    enabled: bool
    enforcement: str
    authentication: str
    credentials: tuple[CredentialLine, ...]
    flows: tuple[FlowLine, ...]
    marks: tuple[str, ...]


def read_register(*, now: datetime) -> list[ClientLine]:
    """Every live client by its client_id, what is only asked for included. Costs a question for each client."""
    flows = Flow.objects.select_related("resource").annotate(asked_outside=Sum("evidence__count"))
    rows = (
        Client.objects.filter(retired_at=None)
        .select_related("application")
        .prefetch_related("secrets", Prefetch("flows", flows.order_by("resource__identifier", "grant", "pk")))
    )
    return [_client_line(client, now=now) for client in rows.order_by("client_id")]


def _client_line(client: Client, *, now: datetime) -> ClientLine:
    flows = tuple(_flow_line(flow, now=now) for flow in client.flows.all())
    owner = client.owner or (client.application.owner if client.application else "")
    has_flow = any(flow.state == Flow.State.APPROVED and ENDED not in flow.marks for flow in flows)
    marks = [
        NO_FLOW if client.kind == Client.Kind.SERVICE and not has_flow else "",
        "" if owner else WITHOUT_OWNER,
    ]
    return ClientLine(
        client_id=client.client_id,
        application=client.application.slug if client.application else "",
        owner=owner,
        kind=client.kind,
        enabled=client.enabled,
        enforcement=client.enforcement,
        authentication=client.authentication,
        credentials=tuple(_credentials(client, now=now)),
        flows=flows,
        marks=tuple(filter(None, marks)),
    )


def _flow_line(flow: Any, *, now: datetime) -> FlowLine:
    ends_at = flow.ends_at
    is_approved = flow.state == Flow.State.APPROVED
    has_ended = ends_at is not None and ends_at <= now
    is_unused = flow.last_used_at is None or flow.last_used_at < now - limits.FLOW_UNUSED
    marks = [
        ASKED if flow.is_draft and not flow.owner else "" if is_approved else NOT_APPROVED,
        ENDED if has_ended else "",
        UNUSED if is_approved and not has_ended and is_unused else "",
        OUTSIDE if is_approved and flow.asked_outside else "",
    ]
    return FlowLine(
        grant=flow.grant,
        resource=flow.resource.identifier,
        scopes=tuple(flow.scopes),
        subject_class=flow.subject_class,
        impersonation=flow.impersonation,
        data_classes=tuple(flow.data_classes),
        purpose=flow.purpose,
        owner=flow.owner,
        state=flow.state,
        proposed_by=flow.proposed_by,
        approved_by=flow.approved_by,
        last_day=str(flow.expires or ""),
        ended_at=_moment(flow.ended_at),
        last_used=_moment(flow.last_used_at),
        asked_outside=flow.asked_outside or 0,
        marks=tuple(filter(None, marks)),
    )


def _credentials(client: Client, *, now: datetime) -> Iterable[CredentialLine]:
    for credential in list_credentials(client, now=now):
        yield CredentialLine(
            kind=credential.kind,
            name=credential.name,
            is_live=credential.is_live,
            created=_moment(credential.created_at),
            ends=_moment(credential.due_at),
            last_used=_moment(credential.last_used_at),
            last_used_from=credential.last_used_from,
        )
    if client.jwks_url:
        yield CredentialLine("keys", client.jwks_url, True, "", "", "", "")


def _moment(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""
