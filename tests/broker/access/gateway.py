"""A gateway that asks for decisions: a client with an enforcement point, and requests as it would send them."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.test import Client as Http

from broker.access.models import EnforcementPoint
from broker.access.points import register_point
from broker.actors import SYSTEM
from broker.registry.models import Client
from tests.broker.access.policies import activate
from tests.broker.tokens.desk import basic
from tests.factories import CLIENT_SECRET, make_client


def entity(type_: str, id_: str, **properties: Any) -> dict[str, Any]:
    """A subject or resource as AuthZEN writes it."""
    return {"type": type_, "id": id_} | ({"properties": properties} if properties else {})


def action(name: str, **properties: Any) -> dict[str, Any]:
    """An action as AuthZEN writes it."""
    return {"name": name} | ({"properties": properties} if properties else {})


@dataclass
class Gateway:
    client: Client
    point: EnforcementPoint | None
    http: Http = field(default_factory=lambda: Http(raise_request_exception=False))

    @property
    def authorization(self) -> str:
        return basic(self.client.client_id, CLIENT_SECRET)

    def post(
        self,
        path: str,
        body: str | bytes,
        *,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> Any:
        sent = {"Authorization": self.authorization} | (headers or {})
        return self.http.post(path, body, content_type=content_type, headers=sent)

    def ask(self, path: str, body: Any, *, headers: dict[str, str] | None = None) -> Any:
        return self.post(path, json.dumps(body), headers=headers)

    def evaluate(self, *, headers: dict[str, str] | None = None, **body: Any) -> Any:
        return self.ask("/access/v1/evaluation", body, headers=headers)

    def evaluate_all(self, **body: Any) -> Any:
        return self.ask("/access/v1/evaluations", body)

    def search(self, sought: str, **body: Any) -> Any:
        return self.ask(f"/access/v1/search/{sought}", body)

    def find_all(self, sought: str, **body: Any) -> list[Any]:
        """The results of all pages, each asked for with the token alone."""
        found, page = [], body.pop("page", None)
        while True:
            answer = self.search(sought, **body, **({"page": page} if page else {}))
            assert answer.status_code == 200, answer.content
            found += answer.json()["results"]
            token = answer.json()["page"]["next_token"]
            if not token:
                return found
            page = ({"properties": page["properties"]} if page and "properties" in page else {}) | {"token": token}


def make_gateway(
    *,
    resource_types: dict[str, list[str]] | None = None,
    subjects: list[dict[str, Any]] | None = None,
    resources: list[dict[str, Any]] | None = None,
    policy: str = "",
    **client: Any,
) -> Gateway:
    """A service client that asks about `resource_types` (records when left out), and a policy that is in force."""
    made = make_client(kind="service", **({"application": None} | client))
    point = register_point(
        made,
        resource_types={"record": ["read", "write"]} if resource_types is None else resource_types,
        subjects=subjects or [],
        resources=resources or [],
        actor=SYSTEM,
    )
    if policy:
        activate(policy)
    return Gateway(made, point)
