"""Resources: the APIs for which access tokens are issued."""

from collections.abc import Iterable
from typing import Any, TypedDict, Unpack

from django.db import transaction

from broker import limits
from broker.actors import Actor
from broker.registry import values
from broker.registry.models import Client, Resource
from broker.registry.registering.changes import (
    Changes,
    assign,
    check_row,
    hold_registry,
    record_changed,
    record_created,
    record_retired,
    save_new,
)
from broker.registry.registering.own_resources import check_not_own, check_own_scopes, own_resources
from broker.registry.values import BadValue


class ResourceFields(TypedDict, total=False):
    """What can be said of a resource; what is left out stays as it is."""

    scopes: dict[str, str]
    """{scope: what it allows}"""
    token_algorithm: str
    token_lifetime: int
    """Seconds."""
    introspectors: list[Client]
    """The clients that may introspect its tokens."""


@transaction.atomic
def create_resource(identifier: str, *, actor: Actor, **fields: Unpack[ResourceFields]) -> Resource:
    """Register a resource. Raises BadValue."""
    columns, introspectors = _split(fields)
    resource = Resource(identifier=values.resource_identifier(identifier), **columns)
    check_own_scopes(identifier, resource.scopes)
    check_row(resource)
    save_new(resource)
    named = _set_introspectors(resource, introspectors or [])
    told = columns | {name: after for name, (_, after) in named.items()}
    record_created("resource", identifier, actor=actor, fields=told)
    return resource


@transaction.atomic
def change_resource(resource: Resource, *, actor: Actor, **fields: Unpack[ResourceFields]) -> Resource:
    """Change what `fields` names; no event when nothing differs. Raises BadValue."""
    resource = Resource.objects.select_for_update().get(pk=resource.pk)
    columns, introspectors = _split(fields)
    changes = assign(resource, columns)
    if introspectors is not None:
        changes |= _set_introspectors(resource, introspectors)
    if changes:
        check_own_scopes(resource.identifier, resource.scopes)
        check_row(resource)
        resource.save()
        record_changed("resource", resource.identifier, actor=actor, changes=changes)
    return resource


@transaction.atomic
def retire_resource(resource: Resource, *, actor: Actor) -> None:
    """Remove it, and what was only asked for; the book keeps what it was. Raises BadValue while flows lead to it."""
    check_not_own(resource.identifier)
    flows = resource.flows.filter(is_draft=False).select_related("client")
    if flows:
        raise BadValue(f"flows still lead to it, of {', '.join(sorted({flow.client.client_id for flow in flows}))}")
    record_retired("resource", resource.identifier, actor=actor, fields={"scopes": resource.scopes})
    resource.flows.filter(is_draft=True).delete()
    resource.delete()


@transaction.atomic
def register_own_resources(*, actor: Actor) -> list[Resource]:
    """Register those of our own APIs that are missing, and give them the scopes of this version. Returns what it did.

    A second call does nothing.
    """
    hold_registry()
    known = {row.identifier: row for row in Resource.objects.filter(identifier__in=own_resources())}
    done = []
    for identifier, scopes in own_resources().items():
        row = known.get(identifier)
        if row is None:
            done.append(create_resource(identifier, scopes=dict(scopes), actor=actor))
        elif set(row.scopes) != set(scopes):
            done.append(change_resource(row, scopes=dict(scopes), actor=actor))
    return done


def _split(fields: ResourceFields) -> tuple[dict[str, Any], Iterable[Client] | None]:
    columns: dict[str, Any] = dict(fields)
    introspectors = columns.pop("introspectors", None)
    for scope in columns.get("scopes", {}):
        values.resource_scope(scope)
    lifetime = columns.get("token_lifetime")
    if lifetime is not None and not 60 <= lifetime <= limits.RESOURCE_TOKEN_SECONDS_MAX:
        raise BadValue(f"a token lives 60 to {limits.RESOURCE_TOKEN_SECONDS_MAX} seconds, not {lifetime}")
    return columns, introspectors


def _set_introspectors(resource: Resource, clients: Iterable[Client]) -> Changes:
    held = sorted(resource.introspectors.values_list("client_id", flat=True))
    wanted = sorted(client.client_id for client in clients)
    if held == wanted:
        return {}
    resource.introspectors.set(clients)
    return {"introspectors": (held, wanted)}
