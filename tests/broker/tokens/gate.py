"""An API with the gateway that guards it, a service and an application that have flows to it, and a stranger."""

from typing import Any

from broker.registry.cache import raise_version
from broker.registry.models import Client
from tests.broker.tokens.desk import Desk, basic, post_form
from tests.factories import CLIENT_SECRET, make_flow, make_resource, make_service

INACTIVE = {"active": False}
ASK = "/oauth/introspect"
GIVE_BACK = "/oauth/revoke"


class Gate:
    """`service` and the application of `desk` each have a flow to `resource`; `gateway` may introspect its tokens."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.resource = make_resource()
        self.service = make_service()
        self.flow = make_flow(self.service, self.resource)
        self.person_flow = make_flow(
            self.desk.client, self.resource, grant="authorization_code", subject_class="person"
        )
        self.gateway = make_service()
        self.stranger = make_service()
        self.resource.introspectors.add(self.gateway)
        raise_version()

    def post(self, path: str, caller: Client, *, secret: str = CLIENT_SECRET, **fields: str) -> Any:
        return post_form(path, fields, authorization=basic(caller.client_id, secret))

    def introspect(self, token: str, *, caller: Client | None = None, **fields: str) -> Any:
        return self.post(ASK, caller or self.gateway, token=token, **fields)

    def revoke(self, token: str, *, caller: Client | None = None, **fields: str) -> Any:
        return self.post(GIVE_BACK, caller or self.service, token=token, **fields)

    def ask(self, **fields: str) -> Any:
        return self.post("/oauth/token", self.service, grant_type="client_credentials", **fields)

    def service_token(self) -> str:
        """An access token of the service for the API."""
        return str(self.ask().json()["access_token"])

    def person_tokens(self, *, offline: bool = False) -> dict[str, Any]:
        """A token response of a sign-on whose access token is for the API."""
        scopes = ("openid", "invoices.read", *(["offline_access"] if offline else []))
        response = self.desk.redeem(self.desk.code(scopes=scopes, resource=self.resource))
        assert response.status_code == 200, response.content
        return dict(response.json())

    def is_active(self, token: str) -> bool:
        answer = self.introspect(token)
        assert answer.status_code == 200, answer.content
        return bool(answer.json()["active"])
