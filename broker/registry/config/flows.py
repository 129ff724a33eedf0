"""`flows:` who may get which token for what. Recorded with owner, purpose and approval."""

from collections.abc import Mapping
from typing import Any

from broker.actors import Actor
from broker.registry import values
from broker.registry.config.base import Changes, Section, Written
from broker.registry.config.table import Entry, Table
from broker.registry.models import Client, Flow, Resource
from broker.registry.registering import flows as registering
from broker.registry.values import BadValue

PURPOSE_CHARS = 300
NEEDS_SECOND = "proposed: needs a second operator"
_NEEDED = ("scopes", "purpose", "owner", "expires")
_OWN = ("scopes", "subject_class", "impersonation", "purpose", "data_classes", "owner", "approved_by", "expires")


class FlowsSection(Section):
    """Keys: client, grant, resource (together they name the flow), and what stands in `_OWN`."""

    name = "flows"
    kind = "flow"
    key = "client, grant and resource"
    after = ("clients", "applications", "resources")

    def identify(self, table: Table) -> str | None:
        """`<client> <grant> <resource>`."""
        table.require("client", "grant", "resource")
        parts = (
            table.text("client", values.client_id),
            table.text("grant", _grant),
            table.text("resource", values.resource_identifier),
        )
        return " ".join(part for part in parts if part) if all(parts) else None

    def read(self, table: Table, key: str) -> Entry:
        """See Section. What concerns people's data is proposed here, and approved by a second operator."""
        scopes, data_classes = table.texts("scopes", values.scope), table.texts("data_classes")
        impersonation, approved_by = table.flag("impersonation"), table.text("approved_by", values.email)
        if approved_by and registering.needs_second_approval(
            data_classes=data_classes or (), impersonation=bool(impersonation)
        ):
            table.reading.notes.append(
                f"{table.path}: only proposed, since it concerns people's data or impersonation; "
                f"a second operator approves it"
            )
            approved_by = None
        return table.entry(
            key,
            {
                **dict(zip(("client", "grant", "resource"), key.split(" "), strict=False)),
                "scopes": None if scopes is None else list(dict.fromkeys(scopes)),
                "subject_class": table.choice("subject_class", Flow.SubjectClass),
                "impersonation": impersonation,
                "purpose": table.text("purpose", max_chars=PURPOSE_CHARS),
                "data_classes": data_classes,
                "owner": table.text("owner", values.email),
                "approved_by": approved_by,
                "expires": table.day("expires"),
            },
        )

    def present(self) -> dict[str, dict[str, Any]]:
        """See Section."""
        rows = Flow.objects.filter(client__retired_at=None, is_draft=False)
        return {
            registering.flow_key(row): {
                "client": row.client.client_id,
                "grant": row.grant,
                "resource": row.resource.identifier,
                **{name: getattr(row, name) for name in _OWN},
            }
            for row in rows.select_related("client", "resource").order_by("pk")
        }

    def references(self, values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """See Section."""
        resource = values["resource"]
        scopes = [("scopes", "scope", f"{scope} of {resource}") for scope in values.get("scopes", ())]
        return [("client", "client", values["client"]), ("resource", "resource", resource), *scopes]

    def faults(self, values: Mapping[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
        """See Section."""
        return [("", f"{name} is missing") for name in _NEEDED if is_new and not values.get(name)]

    def compare(self, key: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> Changes:
        """See Section. An approval that a file cannot give is no change; that one is needed is shown."""
        changes = super().compare(key, before, values)
        final = {"data_classes": (), "impersonation": False, **before, **values}
        if registering.needs_second_approval(data_classes=final["data_classes"], impersonation=final["impersonation"]):
            changes.pop("approved_by", None)
            if changes and not (before.get("approved_by") and registering.is_narrower(changes)):
                approved_by = before.get("approved_by")
                stands = f"approved by {approved_by}" if approved_by else "proposed" if before else None
                changes["state"] = (stands, NEEDS_SECOND)
        return changes

    def create(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        client, resource = _parties(key)
        flow = registering.create_flow(
            client, grant=values["grant"], resource=resource, actor=actor, **_columns(values)
        )
        return Written(flow)

    def change(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        return Written(registering.change_flow(_get(key), actor=actor, **_columns(values)))

    def retire(self, key: str, *, actor: Actor) -> None:
        """See Section."""
        registering.retire_flow(_get(key), actor=actor)


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in _OWN if name in values}


def _parties(key: str) -> tuple[Client, Resource]:
    client_id, _, identifier = key.split(" ")
    return Client.objects.get(client_id=client_id, retired_at=None), Resource.objects.get(identifier=identifier)


def _get(key: str) -> Flow:
    client, resource = _parties(key)
    return Flow.objects.select_related("client", "resource").get(
        client=client, resource=resource, grant=key.split(" ")[1], is_draft=False
    )


def _grant(text: str) -> str:
    if text == "refresh_token":
        raise BadValue("a refresh is judged by the flow of the grant that began it, like authorization_code")
    if text not in Flow.Grant.values:
        raise BadValue(f"{text!r} is no grant, like {', '.join(Flow.Grant.values)}")
    return text


SECTION = FlowsSection()
