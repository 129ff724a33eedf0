"""Registering enforcement points: which client may ask for decisions, about what, and what we know of its world."""

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from broker import limits
from broker.access.callers import API, APPLICATION
from broker.access.models import DeclaredEntity, EnforcementPoint
from broker.actors import Actor
from broker.keys.strict_json import read_object
from broker.registry.models import Client
from broker.registry.registering.changes import (
    Changes,
    assign,
    check_row,
    record_changed,
    record_created,
    record_retired,
)
from broker.registry.values import BadValue

KIND = "enforcement_point"
_BATCH = 500
TYPE_CHARS = DeclaredEntity._meta.get_field("type").max_length or 0
ID_CHARS = DeclaredEntity._meta.get_field("entity_id").max_length or 0
_NAME = re.compile(r"[\x21-\x7e]+")
_OURS = {DeclaredEntity.Side.SUBJECT: ("client",), DeclaredEntity.Side.RESOURCE: (APPLICATION, API)}
"""Types whose entities we know without being told."""


class PointFields(TypedDict, total=False):
    """What can be said of an enforcement point; what is left out stays as it is."""

    resource_types: dict[str, list[str]]
    """{type of resource: the actions on it}: what the client may ask about."""
    subjects: list[dict[str, Any]]
    """[{type, id, properties}]: what searches for subjects look at, beside people and clients."""
    resources: list[dict[str, Any]]
    """[{type, id, properties}]: what searches for resources look at."""


@transaction.atomic
def register_point(client: Client, *, actor: Actor, **fields: Unpack[PointFields]) -> EnforcementPoint:
    """Let a client ask for decisions. Raises BadValue."""
    columns = _columns(fields)
    _check_types(columns.get("resource_types", {}))
    point = EnforcementPoint(client=client, created_at=timezone.now(), **columns)
    check_row(point)
    point.save()
    told: dict[str, Any] = dict(columns)
    told |= {name: after for name, (_, after) in _declare_all(point, fields).items()}
    record_created(KIND, client.client_id, actor=actor, fields=told)
    return point


@transaction.atomic
def change_point(point: EnforcementPoint, *, actor: Actor, **fields: Unpack[PointFields]) -> EnforcementPoint:
    """Change what `fields` names; no event when nothing differs. Raises BadValue."""
    point = EnforcementPoint.objects.select_for_update(of=("self",)).select_related("client").get(pk=point.pk)
    columns = _columns(fields)
    changes = assign(point, columns)
    _check_types(point.resource_types)
    changes |= _declare_all(point, fields)
    if changes:
        check_row(point)
        point.save()
        record_changed(KIND, point.client.client_id, actor=actor, changes=changes)
    return point


@transaction.atomic
def retire_point(point: EnforcementPoint, *, actor: Actor) -> None:
    """The client asks for no more decisions; the book keeps what it asked about."""
    record_retired(KIND, point.client.client_id, actor=actor, fields={"resource_types": point.resource_types})
    point.delete()


def read_declared(point: EnforcementPoint, side: DeclaredEntity.Side) -> list[dict[str, Any]]:
    """What is declared, in the form in which it is registered."""
    return [
        {"type": one.type, "id": one.entity_id, **({"properties": one.properties} if one.properties else {})}
        for one in point.declared.all()
        if one.side == side
    ]


def check_name(text: str) -> str:
    """A type or an action as callers will send it. Raises BadValue."""
    if not _NAME.fullmatch(text) or len(text) > TYPE_CHARS:
        raise BadValue(f"{text!r} is no name: visible ASCII characters without spaces, at most {TYPE_CHARS}")
    return text


def check_declared(entity: Any, side: DeclaredEntity.Side) -> None:
    """Raises BadValue for what callers could never send, and for what we know already."""
    if not isinstance(entity, Mapping):
        raise BadValue("an entity is a mapping with type, id and properties")
    unknown = sorted(entity.keys() - {"type", "id", "properties"})
    if unknown:
        raise BadValue(f"{unknown[0]} is not one of type, id, properties")
    type_, id_, properties = entity.get("type"), entity.get("id"), entity.get("properties", {})
    if not isinstance(type_, str) or not isinstance(id_, str):
        raise BadValue("an entity has a type and an id, both texts")
    check_name(type_)
    if not 0 < len(id_) <= ID_CHARS or "\x00" in id_:
        raise BadValue(f"an id has 1 to {ID_CHARS} characters, none of them NUL")
    if not isinstance(properties, Mapping) or not _is_json(properties):
        raise BadValue(f"the properties of {id_!r} are a mapping of texts, numbers, true, false, lists and mappings")
    if type_ in _OURS[side] or (side == DeclaredEntity.Side.SUBJECT and type_ == "user" and _is_uuid(id_)):
        raise BadValue(f"{type_} {id_!r} is known already and needs no declaration")


def _columns(fields: PointFields) -> dict[str, Any]:
    if "resource_types" not in fields:
        return {}
    return {
        "resource_types": {name: list(dict.fromkeys(actions)) for name, actions in fields["resource_types"].items()}
    }


def _check_types(resource_types: Mapping[str, Iterable[str]]) -> None:
    if not resource_types:
        raise BadValue("an enforcement point names at least one type of resource that it asks about")
    for type_, actions in resource_types.items():
        check_name(type_)
        named = [check_name(action) for action in actions]
        if not named:
            raise BadValue(f"{type_} names no action")


def _declare_all(point: EnforcementPoint, fields: PointFields) -> Changes:
    changes: Changes = {}
    if "subjects" in fields:
        changes |= _declare(point, DeclaredEntity.Side.SUBJECT, fields["subjects"], "subjects")
    if "resources" in fields:
        changes |= _declare(point, DeclaredEntity.Side.RESOURCE, fields["resources"], "resources")
    return changes


def _declare(point: EnforcementPoint, side: DeclaredEntity.Side, entities: list[dict[str, Any]], name: str) -> Changes:
    """Make `entities` what is declared on this side. Rows that stay keep their place."""
    for entity in entities:
        check_declared(entity, side)
    wanted = {(one["type"], one["id"]): dict(one.get("properties", {})) for one in entities}
    if len(wanted) != len(entities):
        raise BadValue(f"{name} names an entity twice")
    rows = {(one.type, one.entity_id): one for one in point.declared.filter(side=side)}
    gone = [row.pk for key, row in rows.items() if key not in wanted]
    changed = [row for key, row in rows.items() if key in wanted and row.properties != wanted[key]]
    new = [key for key in wanted if key not in rows]
    if not (gone or changed or new):
        return {}
    DeclaredEntity.objects.filter(pk__in=gone).delete()
    for row in changed:
        row.properties = wanted[row.type, row.entity_id]
    DeclaredEntity.objects.bulk_update(changed, ["properties"], batch_size=_BATCH)
    DeclaredEntity.objects.bulk_create(
        [DeclaredEntity(point=point, side=side, type=key[0], entity_id=key[1], properties=wanted[key]) for key in new],
        batch_size=_BATCH,
    )
    return {name: (f"{len(rows)} entities", f"{len(wanted)} entities, {len(changed)} with other properties")}


def _is_json(value: Any) -> bool:
    """Whether a request could have carried it."""
    try:
        return bool(read_object(json.dumps(value, allow_nan=False).encode(), depth=limits.ACCESS_JSON_DEPTH) == value)
    except (TypeError, ValueError):
        return False


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
