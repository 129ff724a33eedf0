"""Our own addresses towards an identity provider."""

from django.conf import settings

from broker.registry.models import IdentityProvider


def entity_id(identity_provider: IdentityProvider) -> str:
    """Our entityID: the address of our metadata, unless an existing trust is taken over."""
    return identity_provider.entity_id_override or f"{_base(identity_provider)}/metadata"


def acs_url(identity_provider: IdentityProvider) -> str:
    """Our assertion consumer service."""
    return f"{_base(identity_provider)}/acs"


def _base(identity_provider: IdentityProvider) -> str:
    return f"{settings.BROKER_BASE_URL}/saml/sp/{identity_provider.slug}"
