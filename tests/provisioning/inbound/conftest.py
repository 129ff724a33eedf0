"""Sources with tokens, and clients that write to /scim/v2 as they do."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from broker.actors import SYSTEM
from provisioning.inbound.models import JournalEntry, ScimSource
from provisioning.inbound.paging import totals
from provisioning.inbound.tokens import issue_token, uses
from tests.factories import make_organisation

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _no_memories():
    totals.forget()
    uses.forget()


def make_source(**fields: Any) -> ScimSource:
    fields = {"slug": f"hr{next(_numbers)}", "name": "HR", "owner": "hr@acme.example"} | fields
    if "organisation" not in fields:
        fields["organisation"] = make_organisation(domains=())
    return ScimSource.objects.create(created_at=timezone.now(), **fields)


class Caller:
    """A source's own client: bodies are JSON, answers are given back whole."""

    def __init__(self, source: ScimSource, token: str | None = None) -> None:
        self.source = source
        self.token = token or issue_token(source, actor=SYSTEM)
        self.client = Client(headers={"Authorization": f"Bearer {self.token}"})

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        content: dict[str, Any] = {}
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            content = {"data": data, "content_type": headers.pop("content_type", "application/scim+json")}
        return self.client.generic(method, f"/scim/v2{path}", headers=headers, **content)

    def create(self, user_name: str, **attributes: Any) -> dict[str, Any]:
        answer = self("POST", "/Users", user(user_name, **attributes))
        assert answer.status_code == 201, answer.content
        return answer.json()

    def create_group(self, name: str, *members: str, **attributes: Any) -> dict[str, Any]:
        body = {"schemas": [GROUP], "displayName": name, **attributes}
        if members:
            body["members"] = [{"value": one} for one in members]
        answer = self("POST", "/Groups", body)
        assert answer.status_code == 201, answer.content
        return answer.json()

    def patch(self, path: str, *operations: dict[str, Any], **headers: str) -> Any:
        return self("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)}, **headers)

    def read(self, identifier: str, kind: str = "Users") -> dict[str, Any]:
        answer = self("GET", f"/{kind}/{identifier}")
        assert answer.status_code == 200, answer.content
        return answer.json()

    def found(self, scim_filter: str, kind: str = "Users", **parameters: Any) -> list[dict[str, Any]]:
        answer = self.client.get(f"/scim/v2/{kind}", {"filter": scim_filter, **parameters})
        assert answer.status_code == 200, answer.content
        return answer.json()["Resources"]

    def members(self, identifier: str) -> set[str]:
        return {one["value"] for one in self.read(identifier, "Groups").get("members", ())}


def user(user_name: str, **attributes: Any) -> dict[str, Any]:
    schemas = [USER, *([ENTERPRISE] if ENTERPRISE in attributes else [])]
    return {"schemas": schemas, "userName": user_name, **attributes}


def last_entry(**filters: Any) -> JournalEntry:
    found = JournalEntry.objects.filter(**filters).order_by("-id").first()
    assert found is not None
    return found


def effects(entry: JournalEntry) -> dict[str, str]:
    return {one["attribute"]: one["effect"] for one in entry.effects}


def assert_refused(answer: Any, status: int, code: str, scim_type: str | None = None) -> None:
    body = answer.json()
    assert answer.status_code == status, body
    assert answer["Content-Type"] == "application/scim+json"
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert body["status"] == str(status)
    assert f"[{code}; trace {answer['Countersign-Trace']}]" in body["detail"], body
    assert body.get("scimType") == scim_type


@pytest.fixture
def call(db) -> Caller:
    return Caller(make_source())


@pytest.fixture
def make_caller(db) -> Callable[..., Caller]:
    return lambda **fields: Caller(make_source(**fields))


@pytest.fixture
def entra(db) -> Caller:
    return Caller(make_source(dialect="entra"))


@pytest.fixture
def okta(db) -> Caller:
    return Caller(make_source(dialect="okta"))
