"""Which door leads to an identity provider."""

from broker.registry.models import IdentityProvider
from federation.upstream.base import Connector
from federation.upstream.oidc import OIDCConnector
from federation.upstream.saml import SAMLConnector

_CONNECTORS: dict[str, Connector] = {
    IdentityProvider.Protocol.SAML: SAMLConnector(),
    IdentityProvider.Protocol.OIDC: OIDCConnector(),
}


def connector_for(identity_provider: IdentityProvider) -> Connector:
    """The connector of the provider's protocol."""
    return _CONNECTORS[identity_provider.protocol]
