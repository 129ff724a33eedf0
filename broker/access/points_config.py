"""`enforcement_points:` the clients that ask for decisions, what they may ask about, and what is declared for them."""

from collections.abc import Mapping
from typing import Any

from broker.access import points
from broker.access.models import DeclaredEntity, EnforcementPoint
from broker.actors import Actor
from broker.registry import values
from broker.registry.config.base import Section, Written
from broker.registry.config.table import Entry, Table
from broker.registry.models import Client
from broker.registry.values import BadValue

Side = DeclaredEntity.Side
_SIDES = {"subjects": Side.SUBJECT, "resources": Side.RESOURCE}


class EnforcementPointsSection(Section):
    """Keys: client, resource_types ({type: [actions]}), subjects and resources ([{type, id, properties}])."""

    name = "enforcement_points"
    kind = points.KIND
    key = "client"
    after = ("clients", "applications", "resources")

    def identify(self, table: Table) -> str | None:
        """The client_id."""
        return table.text("client", values.client_id)

    def read(self, table: Table, key: str) -> Entry:
        """See Section."""
        declared = {name: _read_declared(table, name, side) for name, side in _SIDES.items()}
        return table.entry(key, {"client": key, "resource_types": _read_types(table), **declared})

    def present(self) -> dict[str, dict[str, Any]]:
        """See Section."""
        rows = EnforcementPoint.objects.filter(client__retired_at=None).select_related("client")
        return {
            row.client.client_id: {
                "client": row.client.client_id,
                "resource_types": row.resource_types,
                **{name: points.read_declared(row, side) for name, side in _SIDES.items()},
            }
            for row in rows.prefetch_related("declared")
        }

    def references(self, values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """See Section."""
        return [("client", "client", values["client"])]

    def faults(self, values: Mapping[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
        """See Section."""
        return [("", "resource_types is missing")] if is_new and not values.get("resource_types") else []

    def create(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        client = Client.objects.get(client_id=key, retired_at=None)
        return Written(points.register_point(client, actor=actor, **_fields(values)))

    def change(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        return Written(points.change_point(_get(key), actor=actor, **_fields(values)))

    def retire(self, key: str, *, actor: Actor) -> None:
        """See Section."""
        points.retire_point(_get(key), actor=actor)


def _fields(values: Mapping[str, Any]) -> points.PointFields:
    return {name: values[name] for name in ("resource_types", *_SIDES) if name in values}  # type: ignore[return-value]  # the keys are those of PointFields


def _get(key: str) -> EnforcementPoint:
    return EnforcementPoint.objects.get(client__client_id=key, client__retired_at=None)


def _read_types(table: Table) -> dict[str, list[str]] | None:
    inner = table.table("resource_types")
    if inner is None:
        return None
    types = {}
    for name in inner.content:
        inner.checked(name, points.check_name)
        types[name] = inner.texts(name, points.check_name) or []
        if not types[name]:
            inner.problem(name, "names no action")
    if not types:
        table.problem("resource_types", "names no type")
    return types


def _read_declared(table: Table, name: str, side: Side) -> list[dict[str, Any]] | None:
    listed = table.plain(name)
    if listed is None:
        return None
    if not isinstance(listed, list):
        table.problem(name, "wants a list of mappings")
        return None
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for number, entity in enumerate(listed):
        try:
            points.check_declared(entity, side)
        except BadValue as error:
            table.problem(f"{name}[{number}]", str(error))
            continue
        if (entity["type"], entity["id"]) in found:
            table.problem(f"{name}[{number}]", f"{entity['type']} {entity['id']!r} stands twice")
        found[entity["type"], entity["id"]] = {key: entity[key] for key in ("type", "id")} | (
            {"properties": entity["properties"]} if entity.get("properties") else {}
        )
    return list(found.values())


SECTION = EnforcementPointsSection()
