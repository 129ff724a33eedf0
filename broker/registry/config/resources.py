"""`resources:` the APIs for which access tokens are issued."""

from collections.abc import Mapping
from typing import Any

from broker import limits
from broker.actors import Actor
from broker.registry import values
from broker.registry.config.base import Section, Written
from broker.registry.config.table import Entry, Table
from broker.registry.models import Client, Resource
from broker.registry.registering import resources as registering


class ResourcesSection(Section):
    """Keys: identifier, scopes, token_algorithm, token_lifetime (seconds), introspectors (client ids)."""

    name = "resources"
    kind = "resource"
    key = "identifier"
    after = ("clients", "applications")

    def identify(self, table: Table) -> str | None:
        """The identifier."""
        return table.text("identifier", values.resource_identifier)

    def read(self, table: Table, key: str) -> Entry:
        """See Section."""
        introspectors = table.texts("introspectors", values.client_id)
        return table.entry(
            key,
            {
                "scopes": _read_scopes(table),
                "token_algorithm": table.choice("token_algorithm", Resource.Algorithm),
                "token_lifetime": table.number("token_lifetime", low=60, high=limits.RESOURCE_TOKEN_SECONDS_MAX),
                "introspectors": None if introspectors is None else sorted(set(introspectors)),
            },
        )

    def present(self) -> dict[str, dict[str, Any]]:
        """See Section."""
        return {
            row.identifier: {
                "scopes": row.scopes,
                "token_algorithm": row.token_algorithm,
                "token_lifetime": row.token_lifetime,
                "introspectors": sorted(client.client_id for client in row.introspectors.all()),
            }
            for row in Resource.objects.prefetch_related("introspectors")
        }

    def names(self, key: str, values: Mapping[str, Any]) -> set[tuple[str, str]]:
        """See Section. Flows refer to its scopes."""
        return super().names(key, values) | {("scope", f"{scope} of {key}") for scope in values.get("scopes", ())}

    def references(self, values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """See Section."""
        return [("introspectors", "client", client_id) for client_id in values.get("introspectors", ())]

    def create(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        return Written(registering.create_resource(key, actor=actor, **_columns(values)))

    def change(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        resource = Resource.objects.get(identifier=key)
        return Written(registering.change_resource(resource, actor=actor, **_columns(values)))

    def retire(self, key: str, *, actor: Actor) -> None:
        """See Section."""
        registering.retire_resource(Resource.objects.get(identifier=key), actor=actor)


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    columns = dict(values)
    if "introspectors" in values:
        columns["introspectors"] = list(
            Client.objects.filter(client_id__in=values["introspectors"], retired_at=None).order_by("client_id")
        )
    return columns


def _read_scopes(table: Table) -> dict[str, str] | None:
    inner = table.table("scopes")
    if inner is None:
        return None
    scopes = {}
    for name in inner.content:
        inner.checked(name, values.scope)
        scopes[name] = inner.text(name) or ""
    return scopes


SECTION = ResourcesSection()
