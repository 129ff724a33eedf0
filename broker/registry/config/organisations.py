"""`organisations:` companies and the domains for which their identity providers may speak."""

from typing import Any

from broker.actors import Actor
from broker.registry import values
from broker.registry.config.base import Section, Written
from broker.registry.config.table import Entry, Table
from broker.registry.models import Organisation
from broker.registry.registering import organisations as registering


class OrganisationsSection(Section):
    """Keys: slug, name, owner, enabled, domains (each proved by whoever applies the file)."""

    name = "organisations"
    kind = "organisation"
    key = "slug"
    lists = ("domains",)

    def identify(self, table: Table) -> str | None:
        """The slug."""
        return table.text("slug", values.slug)

    def read(self, table: Table, key: str) -> Entry:
        """See Section."""
        domains = table.texts("domains", values.domain)
        return table.entry(
            key,
            {
                "name": table.text("name"),
                "owner": table.text("owner", values.email),
                "enabled": table.flag("enabled"),
                "domains": None if domains is None else sorted(set(domains)),
            },
        )

    def present(self) -> dict[str, dict[str, Any]]:
        """See Section."""
        rows = Organisation.objects.filter(retired_at=None).prefetch_related("domains")
        return {
            row.slug: {
                "name": row.name,
                "owner": row.owner,
                "enabled": row.enabled,
                "domains": [domain.name for domain in row.domains.all() if domain.proved_at],
            }
            for row in rows
        }

    def create(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        return Written(registering.create_organisation(key, actor=actor, **values))

    def change(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        return Written(registering.change_organisation(self._get(key), actor=actor, **values))

    def retire(self, key: str, *, actor: Actor) -> None:
        """See Section."""
        registering.retire_organisation(self._get(key), actor=actor)

    def _get(self, key: str) -> Organisation:
        return Organisation.objects.get(slug=key, retired_at=None)


SECTION = OrganisationsSection()
