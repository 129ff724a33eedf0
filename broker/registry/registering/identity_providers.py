"""Identity providers, what their metadata or discovery document says, and the e-mail domains that lead to them."""

from datetime import date
from typing import Any, TypedDict, Unpack

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from broker.actors import Actor
from broker.registry import metadata, values
from broker.registry.models import Application, HomeRealmDomain, IdentityProvider, Organisation
from broker.registry.openid import DEFAULT_SCOPES, Discovery
from broker.registry.registering.changes import (
    Changes,
    assign,
    check_row,
    record_changed,
    record_created,
    record_retired,
    save_new,
)
from broker.registry.registering.openid_providers import (
    BY_SECRET,
    FIELDS,
    check_new_issuer,
    check_openid_provider,
    openid_columns,
)
from broker.registry.upstream_secrets import SHOWN_AFTER, SHOWN_BEFORE, seal_upstream_secret
from broker.registry.values import BadValue

_WHEN_READ = ("discovered_at", "discovery_tried_at", "discovery_problem")
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
    idp_initiated_application: Application | None
    """Where an answer that nobody asked for leads, when it does not say so itself."""
    skew_seconds: int
    sha1_accepted_until: date | None
    issuer: str
    discovery: Discovery
    """What its discovery document says (broker.registry.openid)."""
    client_id: str
    authentication: str
    client_secret: str
    """Sealed, and never shown again."""
    assertion_audience: str
    scopes: list[str]


SAML_FIELDS = frozenset(
    {"metadata", "metadata_url", "entity_id_override", "name_id_format", "sign_requests", "idp_initiated"}
    | {"idp_initiated_application", "sha1_accepted_until"}
)
"""What can be said of a SAML identity provider alone."""


@transaction.atomic
def create_identity_provider(
    slug: str,
    *,
    organisation: Organisation,
    actor: Actor,
    protocol: IdentityProvider.Protocol = IdentityProvider.Protocol.SAML,
    **fields: Unpack[IdentityProviderFields],
) -> IdentityProvider:
    """Register an identity provider of `organisation`. Raises BadValue.

    Of SAML, `metadata` must be among the fields; of OpenID Connect, `issuer`, `discovery`, `client_id` and, unless it
    authenticates otherwise, `client_secret`.
    """
    if protocol == IdentityProvider.Protocol.SAML and not fields.get("metadata"):
        raise BadValue("a SAML identity provider needs its metadata")
    _check_slug_free(slug)
    columns, domains, secret = _split(fields, protocol)
    defaults: dict[str, Any] = {"name": slug}
    if protocol == IdentityProvider.Protocol.OIDC:
        defaults |= {"subject": "sub", "authentication": IdentityProvider.Authentication.CLIENT_SECRET_BASIC}
        defaults |= {"scopes": list(DEFAULT_SCOPES)}
    identity_provider = IdentityProvider(
        slug=values.slug(slug),
        organisation=organisation,
        protocol=protocol,
        created_at=timezone.now(),
        **defaults | columns,
    )
    shown = {**columns, "home_realm_domains": domains or []}
    if secret is not None and seal_upstream_secret(identity_provider, secret):
        shown["client_secret"] = SHOWN_AFTER
    _check(identity_provider)
    save_new(identity_provider)
    _set_home_realm(identity_provider, domains or [])
    record_created("identity_provider", slug, actor=actor, fields=shown, connection=slug)
    return identity_provider


@transaction.atomic
def change_identity_provider(
    identity_provider: IdentityProvider, *, actor: Actor, **fields: Unpack[IdentityProviderFields]
) -> IdentityProvider:
    """Change what `fields` names; no event when nothing differs. Raises BadValue.

    Its organisation and protocol stay: whoever speaks for somebody else is another identity provider.
    """
    identity_provider = IdentityProvider.objects.select_for_update().get(pk=identity_provider.pk)
    columns, domains, secret = _split(fields, identity_provider.protocol)
    if columns.get("issuer", identity_provider.issuer) != identity_provider.issuer:
        check_new_issuer(columns)
    changes = assign(identity_provider, columns)
    had_secret = bool(identity_provider.client_secret_sealed)
    if secret is not None and seal_upstream_secret(identity_provider, secret):
        changes["client_secret"] = (SHOWN_BEFORE if had_secret else None, SHOWN_AFTER)
    elif had_secret and secret is None and identity_provider.authentication not in BY_SECRET:
        identity_provider.client_secret_sealed = ""
        changes["client_secret"] = (SHOWN_BEFORE, None)
    # When the document was read says nothing of what it says.
    changes = {name: change for name, change in changes.items() if name not in _WHEN_READ}
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
    """Retire it, forget our secret there, and free its slug and e-mail domains.

    Links, sessions and grants of it are valid no more.
    """
    domains = sorted(identity_provider.home_realm_domains.values_list("name", flat=True))
    identity_provider.home_realm_domains.all().delete()
    identity_provider.client_secret_sealed = ""
    identity_provider.retired_at = timezone.now()
    identity_provider.enabled = False
    identity_provider.save()
    ended = {"issuer": identity_provider.issuer, "home_realm_domains": domains}
    slug = identity_provider.slug
    record_retired("identity_provider", slug, actor=actor, fields=ended, connection=slug)


def _check_slug_free(slug: str) -> None:
    """No source of people has it, or had it: its groups would be taken for the identity provider's. Raises BadValue."""
    for name in settings.SLUG_HOLDERS:
        if holder := import_string(name)(slug):
            raise BadValue(f"{slug} is, or was, {holder}: this one's groups would be taken for that one's")


def _split(fields: IdentityProviderFields, protocol: str) -> tuple[dict[str, Any], list[str] | None, str | None]:
    """Columns in their one form, e-mail domains, and our secret there."""
    columns: dict[str, Any] = dict(fields)
    foreign = SAML_FIELDS if protocol == IdentityProvider.Protocol.OIDC else FIELDS
    if misplaced := sorted(foreign & columns.keys()):
        raise BadValue(f"{', '.join(misplaced)} has no meaning for {protocol}")
    domains = columns.pop("home_realm_domains", None)
    secret = columns.pop("client_secret", None)
    if protocol == IdentityProvider.Protocol.OIDC:
        columns |= openid_columns(columns, now=timezone.now())
    if columns.get("metadata"):
        columns |= metadata.identity_provider_columns(columns["metadata"])
    if columns.get("metadata_url"):
        values.web_address(columns["metadata_url"])
    if "subject" in columns:
        columns["subject"] = values.subject_rule(columns["subject"])
    return columns, None if domains is None else values.domains(domains), secret


def _check(identity_provider: IdentityProvider) -> None:
    check_row(identity_provider)
    if identity_provider.protocol == IdentityProvider.Protocol.OIDC:
        check_openid_provider(identity_provider)
    elif identity_provider.subject == "sub":
        raise BadValue("a SAML identity provider has no sub: its subject is name_id, or an attribute")
    started = identity_provider.idp_initiated_application
    if started is not None and started.retired_at is not None:
        raise BadValue(f"the application {started.slug} is retired")
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
