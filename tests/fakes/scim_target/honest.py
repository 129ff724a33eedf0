"""The application on scim2-server's own core: every rule of the protocol is theirs."""

import json
import secrets
from collections.abc import Iterable
from typing import Any

from scim2_models import Bulk, Meta, NotFoundException, Pagination, Patch, Resource, ResourceType, ScimProvider
from scim2_server.applications.wsgi import WSGIApplication
from scim2_server.memory import InMemoryStorage
from scim2_server.requests import ScimRequest
from scim2_server.service import ScimService
from scim2_server.utils import load_default_resource_types, load_default_schemas, load_default_service_provider_config

from tests.fakes.scim_target.effects import EffectLog
from tests.fakes.scim_target.faults import Traits
from tests.fakes.scim_target.wire import Answer, Ask


class HonestEngine:
    """See `Engine` in front.py."""

    def __init__(self, log: EffectLog, traits: Traits) -> None:
        self._traits = traits
        self._storage = _Storage(log, traits)
        self._secret = secrets.token_urlsafe(32)
        self.adapt()

    def adapt(self) -> None:
        """Announce, and offer, what the traits say now."""
        config = load_default_service_provider_config()
        config.patch = Patch(supported=not self._traits.no_patch)
        config.bulk = Bulk(
            supported=not self._traits.no_bulk,
            max_operations=self._traits.max_operations,
            max_payload_size=4 * 1024 * 1024,
        )
        assert config.filter is not None
        config.filter.max_results = self._traits.max_results
        if self._traits.cursor_only:
            config.pagination = Pagination(
                cursor=True, index=False, default_pagination_method=Pagination.DefaultPaginationMethod.cursor
            )
        provider = ScimProvider.from_discovery(
            load_default_schemas().values(), load_default_resource_types().values(), config=config
        )
        self._application = WSGIApplication(self._storage, provider, ScimService(provider, secret=self._secret))
        self._provider = provider

    def answer(self, ask: Ask, base_url: str) -> Answer:
        said = self._application.serve(
            ScimRequest(ask.method, base_url, ask.path, query=ask.query, headers=ask.headers, body=ask.body)
        )
        body = b"" if said.body is None else json.dumps(said.body).encode()
        return Answer(int(said.status), body, dict(said.headers))

    def documents(self, kind: str) -> Iterable[dict[str, Any]]:
        return [_document(resource) for resource in self._storage.resources if _kind(resource) == kind]

    def restore(self, state: dict[str, dict[str, dict[str, Any]]]) -> None:
        resources = []
        for resource_type in self._provider.resource_types:
            model = self._provider.model_for(resource_type)
            for resource_id, document in state.get(resource_type.name or "", {}).items():
                resource = model.model_validate(document)
                resource.id = resource_id
                now = self._storage.clock()
                resource.meta = Meta(
                    resource_type=resource_type.name,
                    created=now,
                    last_modified=now,
                    version=self._storage.next_version(),
                )
                resources.append(resource)
        self._storage.resources = resources


class _Storage(InMemoryStorage):
    """Their storage, which writes down what took effect, and lies where it was told to."""

    def __init__(self, log: EffectLog, traits: Traits) -> None:
        super().__init__()
        self._log = log
        self._traits = traits

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        created = super().create(resource_type, resource)
        document = _document(created)
        self._log.append("create", _kind(created), document["id"], document, **_members((), _ids(document)))
        return created

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        before = _document(self.get(resource_type, str(resource.id)))
        if before.get("active", True) and getattr(resource, "active", None) is False:
            wanted = _document(resource)
            if self._traits.lies("lie_on_disable", wanted):
                self._log.append("lie", "User", before["id"], wanted)
                truth = resource.model_copy(deep=True)
                truth.active = True  # type: ignore[attr-defined]  # a User: it has just been asked for its `active`
                told = super().update(resource_type, truth, expected_version=expected_version)
                told.active = False  # type: ignore[attr-defined]
                return told
        updated = super().update(resource_type, resource, expected_version=expected_version)
        after = _document(updated)
        if before != after:
            self._log.append("change", _kind(updated), after["id"], after, **_members(_ids(before), _ids(after)))
        return updated

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        document = _document(self.get(resource_type, resource_id))
        if self._traits.lies("lie_on_delete", document):
            self._log.append("lie", str(resource_type.name), resource_id, document)
            return
        super().delete(resource_type, resource_id, expected_version=expected_version)
        self._log.append("delete", str(resource_type.name), resource_id, document)

    def _values_of(self, resource: Resource[Any]) -> dict[str, Any]:
        return {} if self._traits.doubles else super()._values_of(resource)


def _kind(resource: Resource[Any]) -> str:
    if resource.meta is None or resource.meta.resource_type is None:
        raise NotFoundException
    return resource.meta.resource_type


def _document(resource: Resource[Any]) -> dict[str, Any]:
    document: dict[str, Any] = resource.model_dump()
    document.pop("meta", None)
    return document


def _ids(document: dict[str, Any]) -> list[str]:
    return [member["value"] for member in document.get("members", ())]


def _members(before: Iterable[str], after: Iterable[str]) -> dict[str, list[str]]:
    old, new = dict.fromkeys(before), dict.fromkeys(after)
    changed = {"added": [one for one in new if one not in old], "removed": [one for one in old if one not in new]}
    return {name: members for name, members in changed.items() if members}
