"""`clients:` the clients of integrations. An application's OpenID face stands under the application."""

from collections.abc import Mapping
from typing import Any

from broker.actors import Actor
from broker.registry import values
from broker.registry.config.base import Changes, Section, Written
from broker.registry.config.client_means import BOUND, MEANS, exported_means, means_faults, read_bound, read_means
from broker.registry.config.client_secrets import SHOWN_AFTER, SHOWN_BEFORE, give_secret, secret_differs
from broker.registry.config.table import Entry, Table
from broker.registry.models import Application, Client
from broker.registry.registering import clients as registering
from broker.registry.registering.clients import SECRET_AUTHENTICATION

_PLAIN = ("owner", "enabled", "enforcement", *MEANS, *BOUND)


class ClientsSection(Section):
    """Keys: client_id, application, owner, enabled, authentication with what it needs, BOUND, enforcement."""

    name = "clients"
    kind = "client"
    key = "client_id"
    after = ("applications",)

    def identify(self, table: Table) -> str | None:
        """The client_id."""
        return table.text("client_id", values.own_client_id)

    def read(self, table: Table, key: str) -> Entry:
        """See Section."""
        return table.entry(
            key,
            {
                "application": table.text("application", values.slug),
                "owner": table.text("owner", values.email),
                "enabled": table.flag("enabled"),
                **read_means(table, key),
                **read_bound(table),
                "enforcement": table.choice("enforcement", Client.Enforcement),
            },
        )

    def present(self) -> dict[str, dict[str, Any]]:
        """See Section."""
        rows = Client.objects.filter(retired_at=None, kind=Client.Kind.SERVICE).select_related("application")
        return {
            row.client_id: {
                "application": row.application.slug if row.application else "",
                **{name: getattr(row, name) for name in _PLAIN},
            }
            for row in rows
        }

    def references(self, values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """See Section."""
        return [("application", "application", values["application"])] if values.get("application") else []

    def faults(self, values: Mapping[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
        """See Section."""
        del is_new
        return means_faults(values)

    def compare(self, key: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> Changes:
        """See Section. The secret that is registered already is no change."""
        changes = super().compare(key, before, values)
        if "client_secret" in changes:
            if secret_differs(key, values["client_secret"]):
                changes["client_secret"] = (SHOWN_BEFORE if before else None, SHOWN_AFTER)
            else:
                del changes["client_secret"]
        return changes

    def create(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        columns = _columns(values)
        client = registering.create_client(key, kind=Client.Kind.SERVICE, actor=actor, **columns)
        return _written(client, values, is_new=True, actor=actor)

    def change(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        client = registering.change_client(self._get(key), actor=actor, **_columns(values))
        return _written(client, values, is_new=False, actor=actor)

    def retire(self, key: str, *, actor: Actor) -> None:
        """See Section."""
        registering.retire_client(self._get(key), actor=actor)

    def withheld(self, key: str, values: Mapping[str, Any]) -> list[str]:
        """See Section."""
        del key
        is_secret = values["authentication"] in SECRET_AUTHENTICATION
        return ["client_secret_env: its secret is kept as a hash"] if is_secret else []

    def exported(self, values: dict[str, Any]) -> dict[str, Any]:
        """See Section."""
        return exported_means(values)

    def _get(self, key: str) -> Client:
        return Client.objects.get(client_id=key, retired_at=None, kind=Client.Kind.SERVICE)


def _written(client: Client, values: dict[str, Any], *, is_new: bool, actor: Actor) -> Written:
    issued, warning = give_secret(client, values.get("client_secret"), is_new=is_new, actor=actor)
    return Written(client, secrets=issued, notes=[warning] if warning else [])


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    columns = {name: values[name] for name in _PLAIN if name in values}
    if values.get("application"):
        columns["application"] = Application.objects.get(slug=values["application"], retired_at=None)
    return columns


SECTION = ClientsSection()
