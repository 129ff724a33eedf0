"""The application on plain dicts: what it says is what the honest one says, without the time that takes.

Users, Groups, Bulk and discovery; filters are `and` of comparisons. No sorting, no attributes of attributes.
"""

import base64
import copy
import json
import secrets
import time
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from tests.fakes.scim_target import patching
from tests.fakes.scim_target.effects import EffectLog
from tests.fakes.scim_target.faults import Traits
from tests.fakes.scim_target.patching import Document
from tests.fakes.scim_target.wire import JSON, Answer, Ask, Refused

LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
KINDS = {"Users": "User", "Groups": "Group"}
PAGE = 100


class _Kept:
    """One account or group. `members`: {id: member}, kept apart from the document."""

    __slots__ = ("created", "document", "members", "modified", "version")

    def __init__(self, document: Document, version: int) -> None:
        self.members: dict[str, Document] = {}
        self.created = self.modified = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.replace(document, version)

    def replace(self, document: Document, version: int) -> None:
        members = document.pop("members", None) or ()
        self.members = {member["value"]: member for member in members}
        self.document = document
        self.version = f'W/"{version}"'
        self.modified = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def whole(self) -> Document:
        return {**self.document, "members": list(self.members.values())} if self.members else dict(self.document)


class LeanEngine:
    """See `Engine` in front.py."""

    def __init__(self, log: EffectLog, traits: Traits) -> None:
        self._log = log
        self._traits = traits
        self._kept: dict[str, dict[str, _Kept]] = {"User": {}, "Group": {}}
        self._ids: dict[tuple[str, str], dict[str, None]] = {}
        """(attribute, folded value) → ids, for userName and externalId."""
        self._versions = 0
        self._base_url = ""

    def adapt(self) -> None:
        """Nothing: the traits are read at each request."""

    def documents(self, kind: str) -> Iterable[Document]:
        return [kept.whole() for kept in self._kept[kind].values()]

    def restore(self, state: dict[str, dict[str, Document]]) -> None:
        for kind, documents in state.items():
            for resource_id, document in documents.items():
                self._versions += 1
                self._kept[kind][resource_id] = _Kept(copy.deepcopy(document), self._versions)
                self._index(kind, document)

    def answer(self, ask: Ask, base_url: str) -> Answer:
        self._base_url = base_url
        try:
            return self._answer(ask)
        except Refused as refused:
            return refused.answer

    def _answer(self, ask: Ask) -> Answer:
        first, _, resource_id = ask.path.strip("/").partition("/")
        if first == "Bulk" and ask.method == "POST" and not resource_id:
            return self._bulk(_json(ask.body))
        if first in ("ServiceProviderConfig", "Schemas", "ResourceTypes"):
            return self._discovery(ask, first, resource_id)
        kind = KINDS.get(first)
        if kind is None or "/" in resource_id:
            raise Refused(404, f"no {ask.path}")
        condition = ask.headers.get("if-match", "")
        if not resource_id:
            if ask.method == "GET":
                return self._list(kind, ask.query)
            if ask.method == "POST":
                return self._said(kind, self._create(kind, _json(ask.body)), 201, ask.query)
        elif ask.method == "GET":
            kept = self._find(kind, resource_id)
            if ask.headers.get("if-none-match") == kept.version:
                return Answer(304, b"", {"ETag": kept.version})
            return self._said(kind, kept, 200, ask.query)
        elif ask.method == "PUT":
            return self._said(kind, self._replace(kind, resource_id, _json(ask.body), condition), 200, ask.query)
        elif ask.method == "PATCH":
            return self._said(kind, self._patch(kind, resource_id, _json(ask.body), condition), 200, ask.query)
        elif ask.method == "DELETE":
            self._delete(kind, resource_id, condition)
            return Answer(204)
        raise Refused(405, f"no {ask.method} here")

    # -- One account or group -------------------------------------------

    def _create(self, kind: str, document: Document) -> _Kept:
        name = "userName" if kind == "User" else "displayName"
        if not isinstance(document.get(name), str) or not document[name]:
            raise Refused(400, f"{name} is required", "invalidValue")
        resource_id = secrets.token_hex(16)
        document = {**_without_nulls(document), "id": resource_id}
        document.pop("meta", None)
        self._check_unique(kind, document)
        self._versions += 1
        kept = self._kept[kind][resource_id] = _Kept(document, self._versions)
        self._index(kind, document)
        added = {"added": list(kept.members)} if kept.members else {}
        self._log.append("create", kind, resource_id, kept.document, **added)
        return kept

    def _replace(self, kind: str, resource_id: str, document: Document, condition: str) -> _Kept:
        kept = self._find(kind, resource_id, condition)
        document = {**_without_nulls(document), "id": resource_id}
        document.pop("meta", None)
        return self._keep(kind, kept, document)

    def _patch(self, kind: str, resource_id: str, body: Document, condition: str) -> _Kept:
        if self._traits.no_patch:
            raise Refused(501, "PATCH is not supported")
        kept = self._find(kind, resource_id, condition)
        document = copy.deepcopy(kept.whole())
        operations = body.get("Operations")
        if not isinstance(operations, list) or not operations:
            raise Refused(400, "no Operations", "invalidSyntax")
        patching.apply(document, operations)
        return self._keep(kind, kept, document)

    def _keep(self, kind: str, kept: _Kept, document: Document) -> _Kept:
        resource_id, before = kept.document["id"], kept.whole()
        if document == before:
            return kept
        self._check_unique(kind, document)
        told = document
        disables = before.get("active", True) and document.get("active") is False
        if disables and self._traits.lies("lie_on_disable", document):
            self._log.append("lie", kind, resource_id, document)
            document = {**document, "active": True}
        members = kept.members
        self._unindex(kind, kept.document)
        self._versions += 1
        kept.replace(document, self._versions)
        self._index(kind, document)
        changes = {
            "added": [one for one in kept.members if one not in members],
            "removed": [one for one in members if one not in kept.members],
        }
        if kept.whole() != before:
            self._log.append(
                "change", kind, resource_id, kept.document, **{name: ids for name, ids in changes.items() if ids}
            )
        if told is document:
            return kept
        lie = _Kept(dict(told), self._versions)
        lie.created, lie.version = kept.created, kept.version
        return lie

    def _delete(self, kind: str, resource_id: str, condition: str) -> None:
        kept = self._find(kind, resource_id, condition)
        if self._traits.lies("lie_on_delete", kept.document):
            self._log.append("lie", kind, resource_id, kept.document)
            return
        self._unindex(kind, kept.document)
        del self._kept[kind][resource_id]
        self._log.append("delete", kind, resource_id, kept.document)

    def _find(self, kind: str, resource_id: str, condition: str = "") -> _Kept:
        kept = self._kept[kind].get(resource_id)
        if kept is None:
            raise Refused(404, f"no {kind} {resource_id}")
        if condition and condition not in ("*", kept.version):
            raise Refused(412, "it is of another version")
        return kept

    def _check_unique(self, kind: str, document: Document) -> None:
        if kind == "User" and not self._traits.doubles:
            held = self._ids.get(("userName", str(document["userName"]).casefold()), {})
            if any(other != document["id"] for other in held):
                raise Refused(409, "this userName is taken", "uniqueness")

    def _index(self, kind: str, document: Document) -> None:
        for attribute in ("userName", "externalId") if kind == "User" else ():
            if attribute in document:
                held = self._ids.setdefault((attribute, str(document[attribute]).casefold()), {})
                held[document["id"]] = None

    def _unindex(self, kind: str, document: Document) -> None:
        for attribute in ("userName", "externalId") if kind == "User" else ():
            self._ids.get((attribute, str(document.get(attribute)).casefold()), {}).pop(document["id"], None)

    # -- Lists ----------------------------------------------------------

    def _list(self, kind: str, query: dict[str, str]) -> Answer:
        found = self._search(kind, query.get("filter", ""))
        try:
            count = max(0, min(int(query.get("count", PAGE)), self._traits.max_results))
            start = max(int(query.get("startIndex", 1)), 1) - 1
        except ValueError:
            raise Refused(400, "not a number", "invalidValue") from None
        page: Document = {"schemas": [LIST], "totalResults": len(found)}
        if self._traits.cursor_only:
            if "startIndex" in query:
                raise Refused(501, "there is no paging by index")
            start = _position(query.get("cursor", ""))
            if count and start + count < len(found):
                page["nextCursor"] = base64.urlsafe_b64encode(str(start + count).encode()).decode()
        else:
            page["startIndex"] = start + 1
        chosen = found[start : start + count]
        page["itemsPerPage"] = len(chosen)
        if chosen:
            page["Resources"] = [self._shown(kind, kept, query) for kept in chosen]
        return Answer(200, json.dumps(page).encode(), {"Content-Type": JSON})

    def _search(self, kind: str, text: str) -> list[_Kept]:
        everything = self._kept[kind]
        if not text:
            return list(everything.values())
        terms = patching.terms_of(text)
        for attribute, operator, value in terms:
            if kind == "User" and operator == "eq" and attribute in ("userName", "externalId"):
                some = [everything[one] for one in self._ids.get((attribute, str(value).casefold()), ())]
                return [kept for kept in some if patching.fits(kept.document, terms)]
        members = any(attribute.lower().startswith("members") for attribute, _, _ in terms)
        return [
            kept for kept in everything.values() if patching.fits(kept.whole() if members else kept.document, terms)
        ]

    # -- Bulk -----------------------------------------------------------

    def _bulk(self, body: Document) -> Answer:
        if self._traits.no_bulk:
            raise Refused(501, "Bulk is not supported")
        operations = body.get("Operations")
        if not isinstance(operations, list):
            raise Refused(400, "no Operations", "invalidSyntax")
        if len(operations) > self._traits.max_operations:
            raise Refused(413, f"more than {self._traits.max_operations} operations")
        made: dict[str, str] = {}
        results, errors, most = [], 0, body.get("failOnErrors")
        for operation in operations:
            result = self._bulk_step(operation, made)
            results.append(result)
            errors += int(result["status"]) >= 400
            if most and errors >= most:
                break
        said = {"schemas": [BULK], "Operations": results}
        return Answer(200, json.dumps(said).encode(), {"Content-Type": JSON})

    def _bulk_step(self, operation: Document, made: dict[str, str]) -> Document:
        result: Document = {"method": str(operation.get("method", "")).upper()}
        if "bulkId" in operation:
            result["bulkId"] = operation["bulkId"]
        try:
            return {**result, **self._bulk_result(operation, result, made)}
        except Refused as refused:
            return {**result, "status": str(refused.status), "response": refused.document}

    def _bulk_result(self, operation: Document, result: Document, made: dict[str, str]) -> Document:
        """Do it. Also fills `result`, for the case that it is refused later."""
        first, _, resource_id = str(operation.get("path", "")).strip("/").partition("/")
        kind = KINDS.get(first)
        if kind is None:
            raise Refused(404, f"no {operation.get('path')}")
        resource_id = _resolved(resource_id, made)
        if resource_id:
            result["location"] = f"{self._base_url}/{first}/{resource_id}"
        document = json.loads(_resolved(json.dumps(operation.get("data") or {}), made))
        condition = operation.get("version", "")
        if result["method"] == "POST":
            kept = self._create(kind, document)
            made[str(operation.get("bulkId"))] = kept.document["id"]
            return {"location": self._location(kind, kept), "version": kept.version, "status": "201"}
        if result["method"] == "DELETE":
            self._delete(kind, resource_id, condition)
            return {"status": "204"}
        if result["method"] not in ("PUT", "PATCH"):
            raise Refused(405, f"no {result['method']} here")
        change = self._replace if result["method"] == "PUT" else self._patch
        return {"version": change(kind, resource_id, document, condition).version, "status": "200"}

    # -- What is said ---------------------------------------------------

    def _said(self, kind: str, kept: _Kept, status: int, query: dict[str, str]) -> Answer:
        document = self._shown(kind, kept, query)
        headers = {"Content-Type": JSON, "ETag": kept.version, "Location": self._location(kind, kept)}
        return Answer(status, json.dumps(document).encode(), headers)

    def _shown(self, kind: str, kept: _Kept, query: dict[str, str]) -> Document:
        meta = {
            "resourceType": kind,
            "created": kept.created,
            "lastModified": kept.modified,
            "location": self._location(kind, kept),
            "version": kept.version,
        }
        document = {**kept.whole(), "meta": meta}
        if only := query.get("attributes"):
            names = {_first(name) for name in only.split(",")} | {"schemas", "id"}
            return {name: value for name, value in document.items() if name.casefold() in names}
        if without := query.get("excludedAttributes"):
            names = {_first(name) for name in without.split(",")} - {"schemas", "id"}
            return {name: value for name, value in document.items() if name.casefold() not in names}
        return document

    def _location(self, kind: str, kept: _Kept) -> str:
        return f"{self._base_url}/{kind}s/{kept.document['id']}"

    def _discovery(self, ask: Ask, endpoint: str, name: str) -> Answer:
        if ask.method != "GET":
            raise Refused(405, f"no {ask.method} here")
        if endpoint == "ServiceProviderConfig":
            return _plain(
                {**self._config(), "meta": {"resourceType": endpoint, "location": f"{self._base_url}/{endpoint}"}}
            )
        everything = _packaged("default-schemas.json" if endpoint == "Schemas" else "default-resource-types.json")
        wanted = [
            one for one in everything if one["id"] in ("User", "Group") or one["id"].endswith((":User", ":Group"))
        ]
        if name:
            for one in wanted:
                if one["id"] == name:
                    return _plain(one)
            raise Refused(404, f"no {name}")
        return _plain(
            {
                "schemas": [LIST],
                "totalResults": len(wanted),
                "startIndex": 1,
                "itemsPerPage": len(wanted),
                "Resources": wanted,
            }
        )

    def _config(self) -> Document:
        config: Document = _packaged("default-service-provider-config.json")
        config["patch"]["supported"] = not self._traits.no_patch
        config["bulk"]["supported"] = not self._traits.no_bulk
        config["bulk"]["maxOperations"] = self._traits.max_operations
        config["bulk"]["maxPayloadSize"] = 4 * 1024 * 1024
        config["filter"]["maxResults"] = self._traits.max_results
        config["sort"]["supported"] = config["changePassword"]["supported"] = False
        config["authenticationSchemes"] = []
        if self._traits.cursor_only:
            config["pagination"] = {"cursor": True, "index": False, "defaultPaginationMethod": "cursor"}
        return config


def _json(body: bytes) -> Document:
    try:
        document = json.loads(body)
    except ValueError:
        raise Refused(400, "not JSON", "invalidSyntax") from None
    if not isinstance(document, dict):
        raise Refused(400, "not an object", "invalidSyntax")
    return document


def _without_nulls(document: Document) -> Document:
    return {name: value for name, value in document.items() if value is not None}


def _resolved(text: str, made: dict[str, str]) -> str:
    if "bulkId:" not in text:
        return text
    for bulk_id, resource_id in made.items():
        text = text.replace(f"bulkId:{bulk_id}", resource_id)
    if "bulkId:" in text:
        raise Refused(409, "a bulkId that nothing was made by", "invalidValue")
    return text


def _position(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor))
    except ValueError:
        raise Refused(400, "not a cursor of ours", "invalidCursor") from None


def _first(attribute: str) -> str:
    return attribute.strip().casefold() if attribute.startswith("urn:") else attribute.strip().casefold().split(".")[0]


def _plain(document: Document) -> Answer:
    return Answer(200, json.dumps(document).encode(), {"Content-Type": JSON})


def _packaged(name: str) -> Any:
    return json.loads((files("scim2_server") / "resources" / name).read_text())
