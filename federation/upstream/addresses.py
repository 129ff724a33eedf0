"""Our own addresses towards an identity provider."""

from django.conf import settings

from broker.registry.models import IdentityProvider


def entity_id(identity_provider: IdentityProvider) -> str:
    """Our entityID: the address of our metadata, unless an existing trust is taken over."""
    return identity_provider.entity_id_override or metadata_url(identity_provider)


def metadata_url(identity_provider: IdentityProvider) -> str:
    """Our metadata towards it."""
    return f"{_base(identity_provider)}/metadata"


def acs_url(identity_provider: IdentityProvider) -> str:
    """Our assertion consumer service."""
    return f"{_base(identity_provider)}/acs"


def callback_url(identity_provider: IdentityProvider) -> str:
    """Our redirect URI: one per provider, so that no provider's answer passes for another's (RFC 9700 4.4.2.2)."""
    return f"{settings.BROKER_BASE_URL}/oidc/{identity_provider.slug}/callback"


def backchannel_logout_url(identity_provider: IdentityProvider) -> str:
    """Where it tells us of the end of its sessions; one per provider, likewise."""
    return f"{settings.BROKER_BASE_URL}/oidc/{identity_provider.slug}/backchannel-logout"


def jwks_url() -> str:
    """Where an identity provider finds the keys of our client assertions."""
    return f"{settings.BROKER_BASE_URL}/oauth/jwks"


def _base(identity_provider: IdentityProvider) -> str:
    return f"{settings.BROKER_BASE_URL}/saml/sp/{identity_provider.slug}"
