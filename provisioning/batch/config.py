"""`file_sources:` HR systems that send files."""

from collections.abc import Mapping
from typing import Any

from broker.actors import Actor
from broker.registry import values
from broker.registry.config.base import Section, Written
from broker.registry.config.table import NAME_CHARS, Entry, Table
from broker.registry.models import Organisation
from provisioning.batch import sources
from provisioning.batch.models import FileSource

KEYS = ("name", "owner", "enabled", "key", "columns")


class FileSourcesSection(Section):
    """Keys: slug, organisation, name, owner, enabled, key, columns ({heading: attribute}), full."""

    name = "file_sources"
    kind = sources.KIND
    key = "slug"
    after = ("organisations",)
    fixed = ("organisation",)

    def identify(self, table: Table) -> str | None:
        """The slug."""
        return table.text("slug", values.slug)

    def read(self, table: Table, key: str) -> Entry:
        """See Section."""
        return table.entry(
            key,
            {
                "slug": key,
                "organisation": table.text("organisation", values.slug),
                "name": table.text("name", max_chars=NAME_CHARS),
                "owner": table.text("owner", values.email),
                "enabled": table.flag("enabled"),
                "key": table.text("key"),
                "columns": _columns(table),
                "full": table.flag("full"),
            },
        )

    def present(self) -> dict[str, dict[str, Any]]:
        """See Section."""
        return {
            row.slug: {
                "slug": row.slug,
                "organisation": row.organisation.slug,
                "full": row.is_full,
                **{name: getattr(row, name) for name in KEYS},
            }
            for row in FileSource.objects.filter(retired_at=None).select_related("organisation")
        }

    def references(self, values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """See Section."""
        return [("organisation", "organisation", values["organisation"])] if values.get("organisation") else []

    def faults(self, values: Mapping[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
        """See Section."""
        missing = [name for name in ("organisation", "owner") if is_new and not values.get(name)]
        return [("", f"{name} is missing") for name in missing]

    def create(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        organisation = Organisation.objects.get(slug=values["organisation"], retired_at=None)
        return Written(sources.create_file_source(key, organisation=organisation, actor=actor, **_fields(values)))

    def change(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        return Written(sources.change_file_source(_get(key), actor=actor, **_fields(values)))

    def retire(self, key: str, *, actor: Actor) -> None:
        """See Section."""
        sources.retire_file_source(_get(key), actor=actor)


def _columns(table: Table) -> dict[str, str] | None:
    inner = table.table("columns")
    if inner is None:
        return None
    return {name: inner.text(name) or "" for name in inner.content}


def _fields(values: Mapping[str, Any]) -> sources.FileSourceFields:
    found = {name: values[name] for name in KEYS if name in values}
    return found | ({"is_full": values["full"]} if "full" in values else {})  # type: ignore[return-value]  # the keys are those of FileSourceFields


def _get(key: str) -> FileSource:
    return FileSource.objects.get(slug=key, retired_at=None)


SECTION = FileSourcesSection()
