"""Callers of the management API: real clients with real tokens, whose every answer is held against the document."""

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.test import Client as DjangoClient
from django.urls import Resolver404, resolve
from jsonschema import Draft202012Validator

from broker.actors import SYSTEM
from broker.api.document import document
from broker.registry.models import Client, Resource
from broker.registry.registering.resources import register_own_resources
from tests.factories import CLIENT_SECRET, make_flow, make_keys, make_service
from tests.flows.stage import basic

ALL = (
    "registry.read",
    "registry.write",
    "grants.read",
    "grants.revoke",
    "decisions.read",
    "deliveries.read",
    "deliveries.write",
    "people.read",
    "people.write",
    "authority.write",
    "leavers.read",
)
PROBLEM = "application/problem+json"
COVERED: set[str] = set()
"""operationIds of which an answer was held against the document."""


@dataclass
class Caller:
    """A client with a token for the API."""

    client: Client
    token: str
    http: DjangoClient = field(default_factory=lambda: DjangoClient(raise_request_exception=False))

    def get(self, path: str, **headers: str) -> Any:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("POST", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.send("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.send("DELETE", path, **headers)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """`body` is sent as JSON, bytes as they are; headers by their names with _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            named = {"Authorization": f"Bearer {self.token}"} | named
        kind = named.pop("Content-Type", "application/json")
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        address = f"/api/v1{path}"
        answer = self.http.generic(method, address, content, content_type=kind if content else "", headers=named)
        check_answer(method, address, answer)
        return answer

    def etag(self, path: str) -> str:
        return str(self.get(path)["ETag"])


def make_caller(*scopes: str, **fields: Any) -> Caller:
    """A client that an approved flow lets call the API, with a token from the token endpoint for these scopes."""
    make_keys()
    register_own_resources(actor=SYSTEM)
    client = make_service(**fields)
    make_flow(client, own_api(), scopes=list(scopes or ALL))
    return Caller(client, issue(client))


def own_api() -> Resource:
    return Resource.objects.get(identifier=f"{settings.BROKER_BASE_URL}/api/v1")


def issue(client: Client, resource: str = "", **fields: str) -> str:
    """An access token by client_credentials."""
    form = {"grant_type": "client_credentials", "resource": resource or own_api().identifier} | fields
    answer = DjangoClient().post(
        "/oauth/token",
        urlencode(form),
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": basic(client.client_id, CLIENT_SECRET)},
    )
    assert answer.status_code == 200, answer.content
    return str(answer.json()["access_token"])


def refused(answer: Any) -> tuple[int, str]:
    """The status and the code of a problem."""
    assert answer["Content-Type"] == PROBLEM, answer.content[:300]
    return answer.status_code, answer.json()["code"]


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


def check_answer(method: str, address: str, answer: Any) -> None:
    """Hold an answer against the document: its status, its headers and its shape, with nothing beside it."""
    assert answer["Countersign-Trace"]
    assert "text/html" not in answer.get("Content-Type", "")
    described = document(settings.BROKER_BASE_URL)
    operation = _operation(described, method, address)
    status = str(answer.status_code)
    if answer.status_code >= 400:
        assert answer["Content-Type"] == PROBLEM
        if method != "HEAD":
            _check_shape({"$ref": "#/components/schemas/Problem"}, answer.json())
            assert answer.json()["trace_id"] == answer["Countersign-Trace"]
            assert answer.json()["status"] == answer.status_code
    if operation is None or status == "405":
        assert answer.status_code in (401, 404, 405), answer.content
        return
    assert status in operation["responses"], f"{operation['operationId']} does not speak of {status}"
    response = operation["responses"][status]
    optional = {"Link", "Idempotency-Replayed"} | ({"WWW-Authenticate"} if status == "403" else set())
    for name in set(response["headers"]) - optional:
        assert answer.has_header(name), f"{operation['operationId']} {status} has no {name}"
    if answer.status_code < 300 and method != "HEAD":
        COVERED.add(operation["operationId"])
        if "content" not in response:
            assert answer.content == b""
        else:
            _check_shape(response["content"]["application/json"]["schema"], answer.json())


def _operation(described: dict[str, Any], method: str, address: str) -> dict[str, Any] | None:
    try:
        route = resolve(address.partition("?")[0]).route
    except Resolver404:
        return None
    template = "/" + "".join(part if "<" not in part else "{" + part.strip("<>").partition(":")[2] + "}"
                             for part in route.replace("<", "\0<").replace(">", ">\0").split("\0"))  # fmt: skip
    operations = described["paths"].get(template, {})
    return operations.get({"HEAD": "get"}.get(method, method.lower()))


def _check_shape(schema: dict[str, Any], body: Any) -> None:
    Draft202012Validator({**schema, "components": _closed(settings.BROKER_BASE_URL)}).validate(body)


@cache
def _closed(base_url: str) -> dict[str, Any]:
    """The document's components, with nothing allowed beside what they name."""
    components: dict[str, Any] = json.loads(json.dumps(document(base_url)["components"]))
    for part in components["schemas"].values():
        part["additionalProperties"] = False
    return components
