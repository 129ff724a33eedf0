"""What we publish of each resource of our own, so that a client learns where its tokens come from (RFC 9728)."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from broker.keys.proofs import ALGORITHM_OF_KIND

WELL_KNOWN = "/.well-known/oauth-protected-resource"


def describe_resource(path: str) -> dict[str, Any] | None:
    """The metadata of the resource at `path` (settings.PROTECTED_RESOURCES); None where there is none."""
    resources: Mapping[str, Mapping[str, str]] = settings.PROTECTED_RESOURCES
    if path not in resources:
        return None
    return {
        "resource": f"{settings.BROKER_BASE_URL}/{path}",
        "authorization_servers": [settings.BROKER_BASE_URL],
        "scopes_supported": list(resources[path]),
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": sorted(ALGORITHM_OF_KIND.values()),
        "tls_client_certificate_bound_access_tokens": bool(settings.CLIENT_CERTIFICATE_HEADER),
    }


def metadata_address(path: str) -> str:
    """Where that metadata is, for `resource_metadata` in WWW-Authenticate (RFC 9728 section 5.1)."""
    return f"{settings.BROKER_BASE_URL}{WELL_KNOWN}/{path}"
