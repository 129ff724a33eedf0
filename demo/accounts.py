"""The CRM's accounts and their SCIM service: scim2-server's own core on a storage that is kept in a file."""

import hmac
import json
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from scim2_models import Meta, Resource, ResourceType, ScimProvider
from scim2_server.applications.wsgi import WSGIApplication
from scim2_server.memory import InMemoryStorage
from scim2_server.service import ScimService
from scim2_server.utils import load_default_resource_types, load_default_schemas, load_default_service_provider_config

ROOT = "/scim"
SCIM_PATH = f"{ROOT}/v2"
"""The core adds the version by itself."""
USERS = "User"
REMEMBERED = 12
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


class Behaviour(StrEnum):
    """What the service does with what it is told; the value is what the form sends."""

    HONEST = "honest"
    LIES = "lies"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Heard:
    """A request that came, and the status of our answer."""

    at: datetime
    method: str
    address: str
    status: int


class Accounts:
    """A WSGI application below SCIM_PATH for who has `token`, and the accounts for our own pages. `file` keeps them."""

    def __init__(self, file: Path, *, token: str) -> None:
        self.behaviour = Behaviour.HONEST
        self.heard: deque[Heard] = deque(maxlen=REMEMBERED)
        self._token = token
        self._provider = ScimProvider.from_discovery(
            load_default_schemas().values(),
            load_default_resource_types().values(),
            config=load_default_service_provider_config(),
        )
        self._storage = _Storage(file, is_lying=lambda: self.behaviour is Behaviour.LIES)
        self._storage.load(self._provider)
        service = ScimService(self._provider, secret=secrets.token_urlsafe(32))
        self._application = WSGIApplication(self._storage, self._provider, service)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]]) -> None:
            self._note(environ, int(status[:3]))
            start_response(status, headers)

        if not hmac.compare_digest(environ.get("HTTP_AUTHORIZATION", "").encode(), f"Bearer {self._token}".encode()):
            return _refuse(start, HTTPStatus.UNAUTHORIZED, "Who is asking?")
        if self.behaviour is Behaviour.DOWN:
            return _refuse(start, HTTPStatus.SERVICE_UNAVAILABLE, "We are down, on purpose.")
        below = environ["PATH_INFO"].removeprefix(ROOT)
        application: Any = self._application
        answer: Iterable[bytes] = application({**environ, "SCRIPT_NAME": ROOT, "PATH_INFO": below}, start)
        return answer

    def people(self) -> list[dict[str, Any]]:
        """Every account as SCIM shows it, by name."""
        with self._storage.lock:
            found = [_document(one) for one in self._storage.resources if _kind(one) == USERS]
        return sorted(found, key=lambda one: str(one.get("userName", "")).casefold())

    def turn_on(self, account_id: str) -> bool:
        """Somebody here opens an account again, and tells nobody. Returns whether there was a closed one."""
        with self._storage.lock:
            for one in self._storage.resources:
                if one.id == account_id and _kind(one) == USERS and not one.active:  # type: ignore[attr-defined]  # a User has it
                    self._storage.turn_on(self._type_of(USERS), one)
                    return True
        return False

    def _type_of(self, name: str) -> ResourceType:
        return next(one for one in self._provider.resource_types if one.name == name)

    def _note(self, environ: dict[str, Any], status: int) -> None:
        query = unquote(environ.get("QUERY_STRING", "").replace("+", " "))
        address = environ["PATH_INFO"].removeprefix(SCIM_PATH) + (f"?{query}" if query else "")
        self.heard.appendleft(Heard(datetime.now(UTC), environ["REQUEST_METHOD"], address, status))


class _Storage(InMemoryStorage):
    """Theirs, written down after each change; a lie is told here, where the truth is kept."""

    def __init__(self, file: Path, *, is_lying: Callable[[], bool]) -> None:
        super().__init__()
        self._file = file
        self._is_lying = is_lying

    def load(self, provider: ScimProvider) -> None:
        """What the file holds."""
        if not self._file.exists():
            return
        kept = json.loads(self._file.read_text())
        resources: list[Resource[Any]] = []
        for resource_type in provider.resource_types:
            model: Any = provider.model_for(resource_type)
            for document in kept.get(resource_type.name, ()):
                resource = model.model_validate(document)
                now = self.clock()
                resource.meta = Meta(
                    resource_type=resource_type.name, created=now, last_modified=now, version=self.next_version()
                )
                resources.append(resource)
        self.resources = resources

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        with self.lock:
            created = super().create(resource_type, resource)
            self._keep()
            return created

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        with self.lock:
            was_open = getattr(self.get(resource_type, str(resource.id)), "active", None)
            is_lie = bool(was_open) and getattr(resource, "active", None) is False and self._is_lying()
            truth = resource.model_copy(update={"active": True}) if is_lie else resource
            updated = super().update(resource_type, truth, expected_version=expected_version)
            self._keep()
            return updated.model_copy(update={"active": False}) if is_lie else updated

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        with self.lock:
            super().delete(resource_type, resource_id, expected_version=expected_version)
            self._keep()

    def turn_on(self, resource_type: ResourceType, resource: Resource[Any]) -> None:
        """As our own people do, without the protocol."""
        super().update(resource_type, resource.model_copy(update={"active": True}))
        self._keep()

    def _keep(self) -> None:
        kept: dict[str, list[dict[str, Any]]] = {}
        for resource in self.resources:
            kept.setdefault(_kind(resource), []).append(_document(resource))
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(kept))
        draft.replace(self._file)


def _kind(resource: Resource[Any]) -> str:
    return str(resource.meta.resource_type) if resource.meta else ""


def _document(resource: Resource[Any]) -> dict[str, Any]:
    document: dict[str, Any] = resource.model_dump()
    document.pop("meta", None)
    return document


def _refuse(start_response: Callable[..., Any], status: HTTPStatus, detail: str) -> Iterable[bytes]:
    start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/scim+json")])
    return [json.dumps({"schemas": [ERROR], "status": str(status.value), "detail": detail}).encode()]
