"""What we publish of ourselves (OpenID Connect Discovery 1.0, RFC 8414): only what exists."""

from typing import Any

from django.conf import settings

from broker.keys.models import SigningKey
from broker.keys.proofs import ALGORITHM_OF_KIND
from broker.registry.models import Client
from broker.registry.values import SIGN_ON_SCOPES
from broker.tokens.authorization_checks import PROMPTS, RESPONSE_MODES
from broker.tokens.client_auth import ASSERTION_ALGORITHMS, METHODS
from broker.tokens.endpoint import GRANTS

PROTOCOL_CLAIMS = ("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "acr", "amr", "sid")
RELEASED_CLAIMS = ("name", "given_name", "family_name", "preferred_username", "email", "email_verified", "groups")


def describe_provider() -> dict[str, Any]:
    """The provider's metadata. Addresses come from the settings, never from the request."""
    base = settings.BROKER_BASE_URL
    methods, algorithms = [method.value for method in METHODS], list(ASSERTION_ALGORITHMS)
    return {
        "issuer": base,
        "authorization_endpoint": f"{base}/oauth/authorize",
        "token_endpoint": f"{base}/oauth/token",
        "introspection_endpoint": f"{base}/oauth/introspect",
        "revocation_endpoint": f"{base}/oauth/revoke",
        "userinfo_endpoint": f"{base}/oauth/userinfo",
        "pushed_authorization_request_endpoint": f"{base}/oauth/par",
        "jwks_uri": f"{base}/oauth/jwks",
        "end_session_endpoint": f"{base}/oauth/logout",
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "scopes_supported": list(SIGN_ON_SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": list(RESPONSE_MODES),
        "grant_types_supported": list(GRANTS),
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": [kind.value for kind in Client.SubjectType],
        "id_token_signing_alg_values_supported": [algorithm.value for algorithm in SigningKey.Algorithm],
        "claim_types_supported": ["normal"],
        "claims_supported": [*PROTOCOL_CLAIMS, *RELEASED_CLAIMS],
        "prompt_values_supported": list(PROMPTS),
        "authorization_response_iss_parameter_supported": True,
        "require_pushed_authorization_requests": False,
        "dpop_signing_alg_values_supported": sorted(ALGORITHM_OF_KIND.values()),
        "tls_client_certificate_bound_access_tokens": bool(settings.CLIENT_CERTIFICATE_HEADER),
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "require_request_uri_registration": False,
    }
