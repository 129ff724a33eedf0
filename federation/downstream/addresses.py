"""Our own addresses towards SAML applications: the same for all of them."""

from django.conf import settings


def entity_id() -> str:
    """Our entityID: the address of our metadata."""
    return f"{settings.BROKER_BASE_URL}/saml/idp/metadata"


def sso_url() -> str:
    """Where AuthnRequests arrive, by either binding."""
    return f"{settings.BROKER_BASE_URL}/saml/idp/sso"


def slo_url() -> str:
    """Our address for single logout: nobody can send us a LogoutRequest yet, and answers may name it."""
    return f"{settings.BROKER_BASE_URL}/saml/idp/slo"
