"""`scim_sources:` HR systems and identity providers that write people over SCIM."""

from collections.abc import Mapping
from typing import Any

from broker import limits
from broker.actors import Actor
from broker.registry import values
from broker.registry.config.base import Changes, Secret, Section, Written
from broker.registry.config.sources import read_file
from broker.registry.config.table import NAME_CHARS, Entry, Table
from broker.registry.models import Organisation
from provisioning.inbound import sources
from provisioning.inbound.models import ScimSource
from provisioning.inbound.tokens import holds_token, import_token, issue_token

KEYS = ("name", "owner", "enabled", "dialect", "unknown_members", "match_external_id", "authoritative_for")
_LENGTHS = f"{limits.SCIM_TOKEN_CHARS_MIN} to {limits.SCIM_TOKEN_CHARS_MAX} characters"
SHOWN_BEFORE, SHOWN_AFTER = "(the token that is registered)", "(another token)"


class ScimSourcesSection(Section):
    """Keys: slug, organisation, name, owner, enabled, dialect, unknown_members, match_external_id, authoritative_for,
    token_env or token_file.
    """

    name = "scim_sources"
    kind = sources.KIND
    key = "slug"
    after = ("organisations",)
    fixed = ("organisation",)

    def identify(self, table: Table) -> str | None:
        """The slug."""
        return table.text("slug", values.slug)

    def read(self, table: Table, key: str) -> Entry:
        """See Section."""
        authoritative_for = table.texts("authoritative_for")
        found: dict[str, Any] = {
            "organisation": table.text("organisation", values.slug),
            "name": table.text("name", max_chars=NAME_CHARS),
            "owner": table.text("owner", values.email),
            "enabled": table.flag("enabled"),
            "dialect": table.choice("dialect", ScimSource.Dialect),
            "unknown_members": table.choice("unknown_members", ScimSource.UnknownMembers),
            "match_external_id": table.flag("match_external_id"),
            "authoritative_for": None if authoritative_for is None else sorted(set(authoritative_for)),
            "token": _read_token(table),
        }
        return table.entry(key, found)

    def present(self) -> dict[str, dict[str, Any]]:
        """See Section."""
        rows = ScimSource.objects.filter(retired_at=None).select_related("organisation")
        return {
            row.slug: {"organisation": row.organisation.slug, **{name: getattr(row, name) for name in KEYS}}
            for row in rows
        }

    def references(self, values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """See Section."""
        return [("organisation", "organisation", values["organisation"])] if values.get("organisation") else []

    def faults(self, values: Mapping[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
        """See Section."""
        missing = [name for name in ("organisation", "owner") if is_new and not values.get(name)]
        return [("", f"{name} is missing") for name in missing]

    def compare(self, key: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> Changes:
        """See Section. The token that is registered already is no change."""
        changes = super().compare(key, before, values)
        if "token" in changes:
            source = ScimSource.objects.filter(slug=key, retired_at=None).first()
            if source is not None and holds_token(source, values["token"].value):
                del changes["token"]
            else:
                changes["token"] = (SHOWN_BEFORE if before else None, SHOWN_AFTER)
        return changes

    def create(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section. Without a token of its own, it gets one of ours."""
        organisation = Organisation.objects.get(slug=values["organisation"], retired_at=None)
        source = sources.create_source(key, organisation=organisation, actor=actor, **_fields(values))
        if values.get("token") is None:
            return Written(source, secrets={key: issue_token(source, actor=actor)})
        import_token(source, values["token"].value, actor=actor)
        return Written(source)

    def change(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        source = sources.change_source(_get(key), actor=actor, **_fields(values))
        if values.get("token") is not None:
            import_token(source, values["token"].value, actor=actor)
        return Written(source)

    def retire(self, key: str, *, actor: Actor) -> None:
        """See Section."""
        sources.retire_source(_get(key), actor=actor)

    def withheld(self, key: str, values: Mapping[str, Any]) -> list[str]:
        """See Section."""
        del key, values
        return ["token_env or token_file: its token is kept as a hash"]


def _read_token(table: Table) -> Secret | None:
    """The token that `token_env` or `token_file` names by its place. It never stands in the file itself."""
    if table.raw("token") is not None:
        table.problem("token", "tokens do not stand in the file: use token_env or token_file instead")
    if "token_env" in table and "token_file" in table:
        table.problem("token_file", "the token is already given by token_env")
    found = [_from_environment(table), _from_file(table)]
    return next((one for one in found if one is not None), None)


def _from_environment(table: Table) -> Secret | None:
    variable = table.text("token_env")
    if variable is None:
        return None
    if not variable.isidentifier():
        table.problem("token_env", "is not the name of an environment variable")
        return None
    value = table.reading.environment.get(variable, "")
    if not _has_length(value):
        table.problem("token_env", f"the environment has no {variable} of {_LENGTHS}")
        return None
    return Secret(value)


def _from_file(table: Table) -> Secret | None:
    raw = read_file(table, "token_file", max_bytes=limits.SCIM_TOKEN_CHARS_MAX + 2)  # and the end of its line
    if raw is None:
        return None
    value = raw.decode("ascii", "replace").strip()
    if not _has_length(value):
        table.problem("token_file", f"the file holds no token of {_LENGTHS}")
        return None
    return Secret(value)


def _has_length(value: str) -> bool:
    return limits.SCIM_TOKEN_CHARS_MIN <= len(value) <= limits.SCIM_TOKEN_CHARS_MAX


def _fields(values: Mapping[str, Any]) -> sources.SourceFields:
    return {name: values[name] for name in KEYS if name in values}  # type: ignore[return-value]  # the keys are those of SourceFields


def _get(key: str) -> ScimSource:
    return ScimSource.objects.get(slug=key, retired_at=None)


SECTION = ScimSourcesSection()
