"""Saving a new connection, switched off, through the services of those who keep its parts."""

from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from broker.actors import Actor
from broker.registry.models import IdentityProvider, Organisation
from broker.registry.registering.identity_providers import change_identity_provider, create_identity_provider
from broker.registry.registering.organisations import change_organisation, create_organisation
from federation.claims.registering import set_claim_mapping
from federation.connecting.found import FoundProvider


@dataclass(frozen=True, slots=True)
class NewOrganisation:
    """A company that is registered together with its first identity provider."""

    slug: str
    name: str


@dataclass(frozen=True, slots=True)
class Connection:
    """What the operator decides about a found identity provider."""

    slug: str
    organisation: Organisation | NewOrganisation
    domains: list[str]
    """For which the organisation may speak, beside those that it has; the actor's word proves each."""
    columns: dict[str, Any]
    """Further fields of the identity provider, as its registering service takes them."""
    claims: dict[str, list[str]] = field(default_factory=dict)
    """Its own mapping, {claim: [attribute names]}; what is not named follows the usual names."""


@transaction.atomic
def connect_identity_provider(found: FoundProvider, connection: Connection, *, actor: Actor) -> IdentityProvider:
    """Register what was found, not enabled, with its organisation and mapping. Raises BadValue."""
    if found.discovery is not None:
        source: dict[str, Any] = {"issuer": found.issuer, "discovery": found.discovery}
    else:
        source = {"metadata": found.metadata, "metadata_url": found.metadata_url}
    identity_provider = create_identity_provider(
        connection.slug,
        organisation=_organisation(connection, actor=actor),
        protocol=found.protocol,
        actor=actor,
        enabled=False,
        **source,
        **connection.columns,
    )
    if connection.claims:
        set_claim_mapping(identity_provider, connection.claims, actor=actor)
    return identity_provider


def enable_connection(identity_provider: IdentityProvider, *, actor: Actor) -> IdentityProvider:
    """From now on people are sent there."""
    return change_identity_provider(identity_provider, actor=actor, enabled=True)


def _organisation(connection: Connection, *, actor: Actor) -> Organisation:
    named = connection.organisation
    if isinstance(named, NewOrganisation):
        return create_organisation(named.slug, actor=actor, name=named.name, domains=connection.domains)
    held = named.domains.exclude(proved_at=None).values_list("name", flat=True)
    return change_organisation(named, actor=actor, domains=[*held, *connection.domains])
