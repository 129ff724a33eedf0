"""What a target says of itself (RFC 7644 section 4), read with scim2-client over our own way out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from scim2_client import BaseSyncSCIMClient, RequestNetworkException, SCIMClientException
from scim2_models import ResourceType, Schema, SCIMException, ServiceProviderConfig

from provisioning.outbound.connectors.base import TargetError
from provisioning.outbound.connectors.wire import Answer, Wire, good
from provisioning.scim.mapping import ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA

_NOBODY_THERE = frozenset({401, 403, 429})
"""The target refuses us: this says nothing of what it can do."""


@dataclass(frozen=True, slots=True)
class Described:
    """What it says that it can do. `problems` are the endpoints whose answers are not by the standard."""

    patch: bool | None = None
    filter: bool | None = None
    etag: bool | None = None
    bulk: bool | None = None
    bulk_operations: int = 0
    bulk_bytes: int = 0
    max_results: int = 0
    is_cursor_only: bool = False
    groups: bool | None = None
    attributes: tuple[str, ...] = ()
    """Of a User, those of the enterprise extension included; empty where it does not say."""
    problems: tuple[str, ...] = ()


def describe(wire: Wire) -> Described:
    """Read ServiceProviderConfig, ResourceTypes and Schemas; what cannot be read is a problem, and no more.

    Raises TargetError where the target refuses us or does not answer at all.
    """
    client = _Client(wire)
    problems: list[str] = []
    config = _read(client, ServiceProviderConfig, problems)
    types = _read(client, ResourceType, problems)
    schemas = _read(client, Schema, problems)
    said: dict[str, Any] = {"problems": tuple(problems), "attributes": _attributes(_listed(schemas))}
    if types is not None:
        said["groups"] = any(str(one.schema_) == GROUP_SCHEMA for one in _listed(types))
    return Described(**said, **_features(config))


def _read(client: "_Client", kind: type[Any], problems: list[str]) -> Any:
    try:
        return client.query(kind)
    except RequestNetworkException as error:
        if isinstance(error.__cause__, TargetError):
            raise error.__cause__ from error
        raise
    except (SCIMClientException, SCIMException) as error:
        problems.append(f"{kind.__name__}: {type(error).__name__}")
        return None


def _features(config: Any) -> dict[str, Any]:
    if config is None:
        return {}
    said: dict[str, Any] = {name: _supported(getattr(config, name)) for name in ("patch", "filter", "etag", "bulk")}
    if config.bulk is not None:
        said["bulk_operations"] = config.bulk.max_operations or 0
        said["bulk_bytes"] = config.bulk.max_payload_size or 0
    if config.filter is not None:
        said["max_results"] = config.filter.max_results or 0
    if config.pagination is not None:
        said["is_cursor_only"] = bool(config.pagination.cursor) and not config.pagination.index
    return said


def _supported(feature: Any) -> bool | None:
    return None if feature is None else feature.supported


def _listed(answer: Any) -> Sequence[Any]:
    return (answer.resources or ()) if answer is not None else ()


def _attributes(schemas: Sequence[Any]) -> tuple[str, ...]:
    prefixes = {USER_SCHEMA: "", ENTERPRISE_SCHEMA: f"{ENTERPRISE_SCHEMA}:"}
    return tuple(
        f"{prefixes[str(schema.id)]}{attribute.name}"
        for schema in schemas
        if str(schema.id) in prefixes
        for attribute in schema.attributes or ()
    )


class _Client(BaseSyncSCIMClient):
    """scim2-client's rules about answers, over the wire with our credential and its guards."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def request(self, method: str, url: str, **kwargs: Any) -> "_Response":
        parameters = kwargs.get("params")
        path = f"/{url.lstrip('/')}" + (f"?{urlencode(parameters)}" if parameters else "")
        try:
            answer = self._wire.answer(method, path, document=kwargs.get("json"))
            if answer.status in _NOBODY_THERE or answer.status >= 500:
                good(answer)
        except TargetError as error:
            raise RequestNetworkException from error
        return _Response(answer)

    def _stays_under_base_url(self, endpoint: str) -> bool:
        return "//" not in endpoint and ".." not in endpoint


class _Response:
    """An answer in the form that scim2-client reads."""

    def __init__(self, answer: Answer) -> None:
        self.status_code = answer.status
        self.headers = {name.title(): value for name, value in answer.headers.items()} | dict(answer.headers)
        self.text = json.dumps(answer.document) if answer.document else ""
