"""The parties' tables, one file per party; imported here because Django looks for models in this module."""

from broker.registry.models.application import Application
from broker.registry.models.client import Client, ClientSecret
from broker.registry.models.credential import CredentialKind, CredentialUse
from broker.registry.models.flow import Flow, FlowEvidence
from broker.registry.models.identity_provider import HomeRealmDomain, IdentityProvider
from broker.registry.models.organisation import Domain, Organisation
from broker.registry.models.resource import Resource
from broker.registry.models.service_provider import ServiceProvider
from broker.registry.models.version import RegistryVersion

__all__ = [
    "Application",
    "Client",
    "ClientSecret",
    "CredentialKind",
    "CredentialUse",
    "Domain",
    "Flow",
    "FlowEvidence",
    "HomeRealmDomain",
    "IdentityProvider",
    "Organisation",
    "RegistryVersion",
    "Resource",
    "ServiceProvider",
]
