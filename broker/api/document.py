"""What the OpenAPI document says of every operation: its name, and the scope that it needs."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

SCHEME = "accessToken"


class TokenScheme(OpenApiAuthenticationExtension):
    """Access tokens of ours, by client_credentials."""

    target_class = "broker.api.authentication.TokenAuthentication"
    name = SCHEME

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:  # noqa: ARG002 - the library's signature
        scopes = settings.PROTECTED_RESOURCES["api/v1"]
        flow = {"tokenUrl": f"{settings.BROKER_BASE_URL}/oauth/token", "scopes": {scope: scope for scope in scopes}}
        return {"type": "oauth2", "flows": {"clientCredentials": flow}}


class Schema(AutoSchema):
    """One operation of the document."""

    def get_auth(self) -> list[dict[str, Any]]:
        """The scope that the view names for the method."""
        scopes: Mapping[str, str] = getattr(self.view, "scopes", {})
        return [{SCHEME: [scopes[self.method]]}]

    def get_operation_id(self) -> str:
        """Method and view: `get_clients`, `patch_one_client`."""
        name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in type(self.view).__name__)
        return f"{self.method.lower()}{name}"
