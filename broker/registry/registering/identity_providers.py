"""Identity providers, what their metadata says, and the e-mail domains that lead to them."""

from datetime import date
from typing import Any, TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from broker.actors import Actor
from broker.registry import metadata, values
from broker.registry.models import HomeRealmDomain, IdentityProvider, Organisation
from broker.registry.registering.changes import (
    Changes,
    assign,
    check_row,
    record_changed,
    record_created,
    record_retired,
)
from broker.registry.values import BadValue

PERSON_KEYS = ("external_id",)
"""By what a login's person may be joined to one that HR recorded; never by an e-mail address."""


class IdentityProviderFields(TypedDict, total=False):
    """What can be said of an identity provider; what is left out stays as it is."""

    name: str
    enabled: bool
    subject: str
    metadata: str
    """Its SAML metadata; issuer, address, certificates and scopes follow from it."""
    metadata_url: str
    home_realm_domains: list[str]
    unknown_person: str
    match_claim: str
    match_person: str
    outside_authority: str
    entity_id_override: str
    name_id_format: str
    sign_requests: bool
    idp_initiated: bool
    skew_seconds: int
    sha1_accepted_until: date | None


@transaction.atomic
def create_identity_provider(
    slug: str, *, organisation: Organisation, actor: Actor, **fields: Unpack[IdentityProviderFields]
) -> IdentityProvider:
    """Register a SAML identity provider of `organisation`; `metadata` must be among the fields. Raises BadValue."""
    if not fields.get("metadata"):
        raise BadValue("a SAML identity provider needs its metadata")
    columns, domains = _split(fields)
    identity_provider = IdentityProvider(
        slug=values.slug(slug),
        organisation=organisation,
        protocol=IdentityProvider.Protocol.SAML,
        created_at=timezone.now(),
        **{"name": slug} | columns,
    )
    _check(identity_provider)
    identity_provider.save()
    _set_home_realm(identity_provider, domains or [])
    record_created("identity_provider", slug, actor=actor, fields=dict(fields) | columns, connection=slug)
    return identity_provider


@transaction.atomic
def change_identity_provider(
    identity_provider: IdentityProvider, *, actor: Actor, **fields: Unpack[IdentityProviderFields]
) -> IdentityProvider:
    """Change what `fields` names; no event when nothing differs. Raises BadValue.

    Its organisation and protocol stay: whoever speaks for somebody else is another identity provider.
    """
    identity_provider = IdentityProvider.objects.select_for_update().get(pk=identity_provider.pk)
    columns, domains = _split(fields)
    changes = assign(identity_provider, columns)
    if domains is not None:
        changes |= _set_home_realm(identity_provider, domains)
    if changes:
        _check(identity_provider)
        identity_provider.save()
        slug = identity_provider.slug
        record_changed("identity_provider", slug, actor=actor, changes=changes, connection=slug)
    return identity_provider


@transaction.atomic
def retire_identity_provider(identity_provider: IdentityProvider, *, actor: Actor) -> None:
    """Retire it and free its slug and e-mail domains. Links, sessions and grants of it are valid no more."""
    domains = sorted(identity_provider.home_realm_domains.values_list("name", flat=True))
    identity_provider.home_realm_domains.all().delete()
    identity_provider.retired_at = timezone.now()
    identity_provider.enabled = False
    identity_provider.save()
    ended = {"issuer": identity_provider.issuer, "home_realm_domains": domains}
    slug = identity_provider.slug
    record_retired("identity_provider", slug, actor=actor, fields=ended, connection=slug)


def _split(fields: IdentityProviderFields) -> tuple[dict[str, Any], list[str] | None]:
    columns: dict[str, Any] = dict(fields)
    domains = columns.pop("home_realm_domains", None)
    if columns.get("metadata"):
        columns |= metadata.identity_provider_columns(columns["metadata"])
    if columns.get("metadata_url"):
        values.web_address(columns["metadata_url"])
    if "subject" in columns:
        columns["subject"] = values.subject_rule(columns["subject"])
    return columns, None if domains is None else values.domains(domains)


def _check(identity_provider: IdentityProvider) -> None:
    check_row(identity_provider)
    if bool(identity_provider.match_claim) != bool(identity_provider.match_person):
        raise BadValue("a match names both a claim and what of the person it must equal")
    if identity_provider.match_claim:
        values.match_claim(identity_provider.match_claim)
        if identity_provider.match_person not in PERSON_KEYS:
            raise BadValue(f"people are matched by {' or '.join(PERSON_KEYS)}, not by {identity_provider.match_person}")


def _set_home_realm(identity_provider: IdentityProvider, wanted: list[str]) -> Changes:
    held = sorted(identity_provider.home_realm_domains.values_list("name", flat=True))
    if held == wanted:
        return {}
    taken = HomeRealmDomain.objects.filter(name__in=wanted).exclude(identity_provider=identity_provider)
    for domain in taken.select_related("identity_provider"):
        raise BadValue(f"the e-mail domain {domain.name} leads to the identity provider {domain.identity_provider}")
    identity_provider.home_realm_domains.exclude(name__in=wanted).delete()
    for name in wanted:
        if name not in held:
            HomeRealmDomain.objects.create(identity_provider=identity_provider, name=name)
    return {"home_realm_domains": (held, wanted)}
