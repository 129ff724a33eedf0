"""`targets:` the applications' SCIM services in which accounts are kept."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from broker import limits
from broker.actors import Actor
from broker.registry import values
from broker.registry.config.base import Changes, Secret, Section, Written
from broker.registry.config.sources import read_file
from broker.registry.config.table import Entry, Table
from broker.registry.models import Application
from broker.registry.values import BadValue
from provisioning.outbound import registering
from provisioning.outbound.credentials import SHOWN_AFTER, SHOWN_BEFORE, holds_credential
from provisioning.outbound.mapping import check_mapping
from provisioning.outbound.models import Target
from provisioning.outbound.scope import check_scope

_COLUMNS = {
    "name": "name",
    "enabled": "enabled",
    "owner": "owner",
    "base_url": "base_url",
    "dialect": "dialect",
    "authentication": "authentication",
    "token_url": "token_url",
    "client_id": "token_client_id",
    "token_scope": "token_scope",
    "scope": "scope",
    "mapping": "mapping",
    "leaver_policy": "leaver_policy",
    "adoption": "adoption",
    "group_strategy": "group_strategy",
    "groups": "groups",
    "breaker_count": "breaker_count",
    "breaker_share": "breaker_share",
    "leaver_deadline": "leaver_deadline",
    "max_connections": "max_connections",
}
"""Where each key is kept."""
_NEEDED = ("application", "base_url")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
COUNT_MAX = 1_000_000
DEADLINE_MAX = 7 * 86_400


class TargetsSection(Section):
    """Keys: slug, application, what stands in `_COLUMNS`, and token_env or token_file (a bearer token), or
    client_secret_env or client_secret_file (OAuth client credentials).

    Without an owner, the application's is taken.
    """

    name = "targets"
    kind = registering.KIND
    key = "slug"
    after = ("applications", "organisations")
    fixed = ("application",)

    def identify(self, table: Table) -> str | None:
        """The slug."""
        return table.text("slug", values.slug)

    def read(self, table: Table, key: str) -> Entry:
        """See Section."""
        return table.entry(
            key,
            {
                "application": table.text("application", values.slug),
                "name": table.text("name"),
                "enabled": table.flag("enabled"),
                "owner": table.text("owner", values.email),
                "base_url": table.text("base_url", _base_url),
                "dialect": table.choice("dialect", Target.Dialect),
                "authentication": table.choice("authentication", Target.Authentication),
                "token_url": table.text("token_url", values.web_address),
                "client_id": table.text("client_id", values.client_id),
                "token_scope": table.text("token_scope", max_chars=500),
                "scope": _checked(table, "scope", check_scope),
                "mapping": _checked(table, "mapping", check_mapping),
                "leaver_policy": table.choice("leaver_policy", Target.LeaverPolicy),
                "adoption": table.choice("adoption", Target.Adoption),
                "group_strategy": table.choice("group_strategy", Target.GroupStrategy),
                "groups": _sorted(table.texts("groups")),
                "breaker_count": table.number("breaker_count", low=0, high=COUNT_MAX),
                "breaker_share": _share(table),
                "leaver_deadline": table.number("leaver_deadline", low=1, high=DEADLINE_MAX),
                "max_connections": table.number("max_connections", low=1, high=limits.TARGET_CONNECTIONS_MAX),
                "credential": _read_credential(table),
            },
        )

    def present(self) -> dict[str, dict[str, Any]]:
        """See Section."""
        rows = Target.objects.filter(retired_at=None).select_related("application")
        return {
            row.slug: {
                "application": row.application.slug,
                **{key: getattr(row, column) for key, column in _COLUMNS.items()},
            }
            for row in rows
        }

    def references(self, values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """See Section."""
        found = [("application", "application", values["application"])] if values.get("application") else []
        organisations = (values.get("scope") or {}).get("organisations", ())
        return [*found, *(("scope", "organisation", slug) for slug in organisations)]

    def faults(self, values: Mapping[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
        """See Section."""
        found = [("", f"{name} is missing") for name in _NEEDED if is_new and not values.get(name)]
        if values.get("authentication") == Target.Authentication.CLIENT_CREDENTIALS:
            found += [("", f"{name} is missing") for name in ("token_url", "client_id") if not values.get(name)]
        if is_new and values.get("credential") is None:
            found.append(("", "token_env or client_secret_env is missing: who are we there?"))
        if values.get("groups") and values.get("group_strategy", "none") == Target.GroupStrategy.NONE:
            found.append(("groups", "group_strategy keeps no groups: say memberships"))
        return found

    def compare(self, key: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> Changes:
        """See Section. The credential that is registered already is no change."""
        changes = super().compare(key, before, values)
        if "credential" in changes:
            target = Target.objects.filter(slug=key, retired_at=None).first()
            if target is not None and holds_credential(target, values["credential"].value):
                del changes["credential"]
            else:
                changes["credential"] = (SHOWN_BEFORE if before else None, SHOWN_AFTER)
        return changes

    def create(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        application = Application.objects.get(slug=values["application"], retired_at=None)
        fields = {"owner": application.owner} | _fields(values)
        target = registering.create_target(key, application=application, actor=actor, **fields)
        notes = [] if target.scope else [f"target {key}: nobody belongs there until it has a scope"]
        return Written(target, notes=notes)

    def change(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        return Written(registering.change_target(_get(key), actor=actor, **_fields(values)))

    def retire(self, key: str, *, actor: Actor) -> None:
        """See Section."""
        registering.retire_target(_get(key), actor=actor)

    def withheld(self, key: str, values: Mapping[str, Any]) -> list[str]:
        """See Section."""
        del key
        is_bearer = values["authentication"] == Target.Authentication.BEARER
        return [f"{'token' if is_bearer else 'client_secret'}_env: its credential is sealed"]


def _read_credential(table: Table) -> Secret | None:
    """What `token_…` or `client_secret_…` names by its place. The credential itself never stands in the file."""
    for name in ("token", "client_secret"):
        if table.raw(name) is not None:
            table.problem(name, f"credentials do not stand in the file: use {name}_env or {name}_file instead")
    named = [f"{kind}_{place}" for kind in ("token", "client_secret") for place in ("env", "file")]
    given = [name for name in named if name in table]
    found = [_from(table, name) for name in named]
    if len(given) > 1:
        table.problem(given[1], f"the credential is already given by {given[0]}")
        return None
    return next((one for one in found if one is not None), None)


def _from(table: Table, name: str) -> Secret | None:
    if name.endswith("_file"):
        raw = read_file(table, name, max_bytes=limits.TARGET_CREDENTIAL_CHARS)
        try:
            value = None if raw is None else raw.decode("ascii").strip()
        except UnicodeDecodeError:
            table.problem(name, "the file is not ASCII")
            return None
        return Secret(value) if value else None
    variable = table.text(name)
    if variable is None:
        return None
    if not _VARIABLE.fullmatch(variable):
        # What is none may be the credential itself, so it is not repeated.
        table.problem(name, "is not the name of an environment variable")
        return None
    value = table.reading.environment.get(variable, "")
    if not value:
        table.problem(name, f"the environment has no {variable}")
    return Secret(value) if value else None


def _checked(table: Table, name: str, check: Callable[[object], Any]) -> Any:
    given = table.plain(name)
    if given is None:
        return None
    try:
        return check(given)
    except BadValue as error:
        table.problem(name, str(error))
        return None


def _share(table: Table) -> float | None:
    given = table.plain("breaker_share")
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= 1:
        table.problem("breaker_share", "wants a part from 0 to 1")
        return None
    return float(given)


def _sorted(texts: list[str] | None) -> list[str] | None:
    return None if texts is None else sorted(set(texts))


def _base_url(text: str) -> str:
    return values.web_address(text).rstrip("/")


def _fields(given: Mapping[str, Any]) -> registering.TargetFields:
    found = {column: given[key] for key, column in _COLUMNS.items() if key in given}
    if given.get("credential") is not None:
        found["credential"] = given["credential"].value
    return found  # type: ignore[return-value]  # the keys are those of TargetFields


def _get(key: str) -> Target:
    return Target.objects.get(slug=key, retired_at=None)


SECTION = TargetsSection()
