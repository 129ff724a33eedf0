"""`identity_providers:` the corporate identity providers upstream of us, over SAML or OpenID Connect."""

from collections.abc import Mapping
from typing import Any

from broker import limits
from broker.actors import Actor
from broker.registry import metadata, values
from broker.registry.config.base import Changes, Section, Written
from broker.registry.config.openid_keys import openid_faults, read_openid
from broker.registry.config.sources import read_metadata
from broker.registry.config.table import Entry, Table
from broker.registry.models import Application, IdentityProvider, Organisation
from broker.registry.registering import identity_providers as registering
from broker.registry.registering.openid_providers import BY_SECRET, FIELDS
from broker.registry.upstream_secrets import SHOWN_AFTER, SHOWN_BEFORE, holds_upstream_secret
from broker.registry.values import BadValue

Protocol = IdentityProvider.Protocol

_COLUMNS = {
    "name": "name",
    "enabled": "enabled",
    "subject": "subject",
    "metadata": "metadata",
    "metadata_url": "metadata_url",
    "unknown_person": "unknown_person",
    "match.claim": "match_claim",
    "match.person": "match_person",
    "outside_authority": "outside_authority",
    "entity_id": "entity_id_override",
    "name_id_format": "name_id_format",
    "sign_requests": "sign_requests",
    "idp_initiated": "idp_initiated",
    "idp_initiated_application": "idp_initiated_application",
    "skew_seconds": "skew_seconds",
    "sha1_accepted_until": "sha1_accepted_until",
    "home_realm_domains": "home_realm_domains",
    "issuer": "issuer",
    "discovery": "discovery",
    "client_id": "client_id",
    "authentication": "authentication",
    "client_secret": "client_secret",
    "assertion_audience": "assertion_audience",
    "scopes": "scopes",
}
"""Where each key is kept."""
ENTITY_ID_CHARS = 1024
_NEEDED = {
    Protocol.SAML: ("organisation", "protocol", "metadata"),
    Protocol.OIDC: ("organisation", "protocol", "issuer", "client_id"),
}
_OF_OTHERS = {Protocol.SAML: FIELDS, Protocol.OIDC: registering.SAML_FIELDS}
"""Columns that have no meaning for a protocol."""


class IdentityProvidersSection(Section):
    """Keys: slug, organisation, protocol, and what stands in `_COLUMNS`.

    SAML metadata is given as metadata, metadata_file or metadata_url; an OpenID provider's discovery document is
    fetched from its issuer, and our secret there is named by client_secret_env or client_secret_file.
    """

    name = "identity_providers"
    kind = "identity_provider"
    key = "slug"
    after = ("organisations", "applications")
    fixed = ("organisation", "protocol")
    lists = ("home_realm_domains",)

    def identify(self, table: Table) -> str | None:
        """The slug."""
        return table.text("slug", values.slug)

    def read(self, table: Table, key: str) -> Entry:
        """See Section."""
        protocol = table.choice("protocol", Protocol)
        domains = table.texts("home_realm_domains", values.domain)
        own = read_openid if (protocol or _protocol_of(key)) == Protocol.OIDC else _read_saml
        return table.entry(
            key,
            {
                "organisation": table.text("organisation", values.slug),
                "protocol": protocol,
                "name": table.text("name"),
                "enabled": table.flag("enabled"),
                "subject": _subject(table),
                "home_realm_domains": None if domains is None else sorted(set(domains)),
                "unknown_person": table.choice("unknown_person", IdentityProvider.UnknownPerson),
                **_match(table),
                "outside_authority": table.choice("outside_authority", IdentityProvider.OutsideAuthority),
                "skew_seconds": table.number("skew_seconds", low=0, high=int(limits.SAML_SKEW_MAX.total_seconds())),
                **own(table, key),
            },
        )

    def present(self) -> dict[str, dict[str, Any]]:
        """See Section."""
        rows = IdentityProvider.objects.filter(retired_at=None).select_related(
            "organisation", "idp_initiated_application"
        )
        return {
            row.slug: {
                "organisation": row.organisation.slug,
                "protocol": row.protocol,
                **{key: getattr(row, column) for key, column in _COLUMNS.items() if _is_shown(column, row.protocol)},
                **_started_application(row),
                "home_realm_domains": [domain.name for domain in row.home_realm_domains.all()],
            }
            for row in rows.prefetch_related("home_realm_domains")
        }

    def references(self, values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """See Section."""
        named = {"organisation": "organisation", "idp_initiated_application": "application"}
        return [(name, kind, values[name]) for name, kind in named.items() if values.get(name)]

    def faults(self, values: Mapping[str, Any], *, is_new: bool) -> list[tuple[str, str]]:
        """See Section."""
        needed = _NEEDED[Protocol(values.get("protocol", Protocol.SAML))]
        found = [("", f"{name} is missing") for name in needed if is_new and not values.get(name)]
        if values.get("protocol") == Protocol.OIDC:
            found += openid_faults(values, is_new=is_new)
        return found

    def compare(self, key: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> Changes:
        """See Section. New metadata also shows what follows from it."""
        changes = super().compare(key, before, values)
        if "client_secret" in changes:
            held = IdentityProvider.objects.filter(slug=key, retired_at=None).first()
            if held is not None and holds_upstream_secret(held, values["client_secret"].value):
                del changes["client_secret"]
            else:
                changes["client_secret"] = (SHOWN_BEFORE if before else None, SHOWN_AFTER)
        if "discovery" in changes:
            becomes = values["discovery"].as_column()
            del changes["discovery"]
            if before.get("discovery") != becomes:
                changes["discovery"] = (before.get("discovery"), becomes)
        if "metadata" in changes:
            was = metadata.identity_provider_columns(before["metadata"]) if before.get("metadata") else {}
            becomes = metadata.identity_provider_columns(values["metadata"])
            derived = {name: (was.get(name), value) for name, value in becomes.items() if was.get(name) != value}
            if values.get("metadata_url") and not derived.keys() - {"metadata"}:
                del changes["metadata"]  # Published anew with another date or signature: nothing that we hold differs.
            else:
                changes |= derived
        return changes

    def create(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        organisation = Organisation.objects.get(slug=values["organisation"], retired_at=None)
        columns, protocol = _columns(values), Protocol(values["protocol"])
        return Written(
            registering.create_identity_provider(
                key, organisation=organisation, protocol=protocol, actor=actor, **columns
            )
        )

    def change(self, key: str, values: dict[str, Any], *, actor: Actor) -> Written:
        """See Section."""
        columns = _columns(values)
        return Written(registering.change_identity_provider(self._get(key), actor=actor, **columns))

    def retire(self, key: str, *, actor: Actor) -> None:
        """See Section."""
        registering.retire_identity_provider(self._get(key), actor=actor)

    def exported(self, values: dict[str, Any]) -> dict[str, Any]:
        """See Section. What has an address is named by it, other metadata stands in the file."""
        if values["protocol"] == Protocol.OIDC:
            left_out = "discovery"
        else:
            left_out = "metadata" if values["metadata_url"] else "metadata_url"
        return {name: value for name, value in values.items() if name != left_out}

    def withheld(self, key: str, values: Mapping[str, Any]) -> list[str]:
        """See Section."""
        del key
        return ["client_secret_env: its secret is sealed"] if values.get("authentication") in BY_SECRET else []

    def _get(self, key: str) -> IdentityProvider:
        return IdentityProvider.objects.get(slug=key, retired_at=None)


def _protocol_of(slug: str) -> str:
    """The protocol of a registered identity provider, whose entry need not name it again; else SAML."""
    rows = IdentityProvider.objects.filter(slug=slug, retired_at=None)
    return rows.values_list("protocol", flat=True).first() or Protocol.SAML


def _is_shown(column: str, protocol: str) -> bool:
    told_otherwise = {"home_realm_domains", "client_secret", "idp_initiated_application"}
    return column not in told_otherwise | _OF_OTHERS[Protocol(protocol)]


def _read_saml(table: Table, key: str) -> dict[str, Any]:
    """The keys that SAML alone has."""
    own_metadata = read_metadata(
        table, metadata.identity_provider_columns, held_from=lambda url: _holds_metadata_of(key, url)
    )
    if own_metadata.get("metadata"):
        oddities = metadata.read_identity_provider(own_metadata["metadata"]).oddities
        table.reading.notes += [f"{table.path}: {oddity}" for oddity in oddities]
    return {
        **own_metadata,
        "entity_id": table.text("entity_id", max_chars=ENTITY_ID_CHARS),
        "name_id_format": table.text("name_id_format"),
        "sign_requests": table.flag("sign_requests"),
        "idp_initiated": table.flag("idp_initiated"),
        "idp_initiated_application": table.text("idp_initiated_application", values.slug),
        "sha1_accepted_until": table.day("sha1_accepted_until"),
    }


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    columns = {_COLUMNS[key]: value for key, value in values.items() if key in _COLUMNS}
    if "client_secret" in columns:
        columns["client_secret"] = columns["client_secret"].value
    if named := columns.get("idp_initiated_application"):
        columns["idp_initiated_application"] = Application.objects.get(slug=named, retired_at=None)
    return columns


def _started_application(row: IdentityProvider) -> dict[str, str]:
    if row.protocol == Protocol.OIDC:
        return {}
    return {"idp_initiated_application": row.idp_initiated_application.slug if row.idp_initiated_application else ""}


def _subject(table: Table) -> str | None:
    """name_id, sub, "attribute: <name>", or the mapping {attribute: <name>}."""
    given = table.raw("subject")
    if given is None or not isinstance(given.content, dict):
        return table.text("subject", values.subject_rule)
    inner = table.table("subject")
    attribute = inner.text("attribute", _attribute_rule) if inner else None
    if inner:
        inner.require("attribute")
        inner.close()
    return attribute


def _attribute_rule(name: str) -> str:
    return values.subject_rule(f"attribute: {name}")


def _match(table: Table) -> dict[str, str | None]:
    inner = table.table("match")
    if inner is None:
        return {}
    inner.require("claim", "person")
    named = {
        "match.claim": inner.text("claim", values.match_claim),
        "match.person": inner.text("person", _person_key),
    }
    inner.close()
    return named


def _person_key(text: str) -> str:
    if text not in registering.PERSON_KEYS:
        raise BadValue(f"people are matched by {' or '.join(registering.PERSON_KEYS)}, not by {text!r}")
    return text


def _holds_metadata_of(slug: str, url: str) -> bool:
    held = IdentityProvider.objects.filter(slug=slug, metadata_url=url, retired_at=None)
    return held.exclude(metadata="").exists()


SECTION = IdentityProvidersSection()
