"""SCIM 2.0 (RFC 7644) as a target's probe found it: one request per method here, and no judgement of what should be."""

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any
from urllib.parse import quote, unquote, urlencode

from broker import limits
from broker.parts import in_parts
from provisioning.outbound.connectors.base import (
    Capabilities,
    Look,
    Made,
    MembersChange,
    Method,
    Page,
    Paging,
    RemoteGroup,
    RemoteUser,
    Resource,
    TargetError,
)
from provisioning.outbound.connectors.wire import Answer, Wire, error_of, good
from provisioning.outbound.models import Target
from provisioning.scim.mapping import ENTERPRISE_SCHEMA, GROUP_SCHEMA

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK_REQUEST = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
REMOTE_ID_CHARS = 400
READ_ONLY = ("id", "meta", "groups")
"""What a target writes itself (RFC 7643 sections 3.1 and 4.1.2)."""
_TEXTUAL_BOOLS = {"true": True, "false": False}


def connector_for(target: Target) -> "ScimConnector":
    """Whoever speaks with this target, as its probe found it. Raises TargetError. Close it, or use it in `with`."""
    return ScimConnector(target)


class ScimConnector:
    """A target over SCIM. See `base.Connector`."""

    def __init__(self, target: Target, *, capabilities: Capabilities | None = None) -> None:
        self.capabilities = capabilities or Capabilities.of(target.capabilities)
        self.wire = Wire(target)

    def close(self) -> None:
        self.wire.close()

    def __enter__(self) -> "ScimConnector":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Accounts

    def look_for(self, *, external_id: str = "", user_name: str = "") -> Look:
        name, value = ("externalId", external_id) if external_id else ("userName", user_name)
        answer = self._filtered("/Users", name, value)
        for resource in _resources(answer):
            user = user_of(resource, answer) if isinstance(resource, Mapping) else None
            # Compared again here: some targets ignore a filter that they do not know, and answer with everybody.
            if user is not None and _is_called(user, external_id=external_id, user_name=user_name):
                return Look(user, answer.digest, answer.status)
        return Look(None, answer.digest, answer.status)

    def look_at(self, remote_id: str) -> Look:
        answer = self.wire.answer("GET", _path("/Users", remote_id))
        if answer.status == 404:
            return Look(None, answer.digest, answer.status)
        return Look(user_of(good(answer).document, answer), answer.digest, answer.status)

    def find_user(self, *, external_id: str = "", user_name: str = "") -> RemoteUser | None:
        return self.look_for(external_id=external_id, user_name=user_name).user

    def read_user(self, remote_id: str) -> RemoteUser | None:
        return self.look_at(remote_id).user

    def create_user(self, body: Resource) -> RemoteUser:
        answer = good(self.wire.answer("POST", "/Users", document=body))
        if not answer.document:
            # RFC 7644 section 3.3 wants the account in the answer; some name its place only.
            found = self.read_user(_id_of_location(answer.headers.get("location", "")))
            if found is None:
                raise TargetError("target.not_scim", status=answer.status, detail="nothing where it says it created it")
            return found
        return user_of(answer.document, answer)

    def change_user(self, there: RemoteUser, changes: Mapping[str, Any]) -> RemoteUser:
        etag = there.etag if self.capabilities.wants_if_match else ""
        path = _path("/Users", there.remote_id)
        if self.capabilities.method == Method.PATCH:
            document: dict[str, Any] = {"schemas": [PATCH_OP], "Operations": _operations(changes)}
            answer = good(self.wire.answer("PATCH", path, document=document, etag=etag))
        else:
            answer = good(self.wire.answer("PUT", path, document=replaced(there.resource, changes), etag=etag))
        if answer.document.get("id"):
            return user_of(answer.document, answer)
        found = self.read_user(there.remote_id)
        if found is None:
            raise TargetError("target.refused", status=404, detail="it is gone after the change")
        return found

    def close_user(self, remote_id: str, *, there: RemoteUser | None = None) -> None:
        path = _path("/Users", remote_id)
        needs_it = self.capabilities.method == Method.PUT or self.capabilities.wants_if_match
        there = there or (self.read_user(remote_id) if needs_it else None)
        etag = there.etag if there and self.capabilities.wants_if_match else ""
        if self.capabilities.method == Method.PATCH:
            document: dict[str, Any] = {"schemas": [PATCH_OP], "Operations": _operations({"active": False})}
            good(self.wire.answer("PATCH", path, document=document, etag=etag))
        elif there is None:
            raise error_of(404)
        else:
            good(self.wire.answer("PUT", path, document=replaced(there.resource, {"active": False}), etag=etag))

    def delete_user(self, remote_id: str, *, etag: str = "") -> None:
        self._delete(_path("/Users", remote_id), etag)

    def pages_of_users(self, after: str = "") -> Iterator[Page]:
        return self._pages("/Users", user_of, after)

    # Groups

    def find_group(self, *, external_id: str = "", name: str = "") -> RemoteGroup | None:
        attribute, value = ("externalId", external_id) if external_id else ("displayName", name)
        answer = self._filtered("/Groups", attribute, value)
        for resource in _resources(answer):
            group = group_of(resource, answer) if isinstance(resource, Mapping) else None
            if group is not None and (group.external_id if external_id else group.name) == value:
                return self.read_group(group.remote_id)  # lists may leave members out
        return None

    def read_group(self, remote_id: str) -> RemoteGroup | None:
        answer = self.wire.answer("GET", _path("/Groups", remote_id))
        return None if answer.status == 404 else group_of(good(answer).document, answer)

    def create_group(self, name: str, external_id: str) -> RemoteGroup:
        body = {"schemas": [GROUP_SCHEMA], "displayName": name, "externalId": external_id}
        answer = good(self.wire.answer("POST", "/Groups", document=body))
        if answer.document:
            return group_of(answer.document, answer)
        found = self.read_group(_id_of_location(answer.headers.get("location", "")))
        if found is None:
            raise TargetError("target.not_scim", status=answer.status, detail="nothing where it says it created it")
        return found

    def change_group(self, there: RemoteGroup, *, name: str, members: MembersChange) -> None:
        path = _path("/Groups", there.remote_id)
        etag = there.etag if self.capabilities.wants_if_match else ""
        if self.capabilities.group_method == Method.PUT:
            held = [one for one in there.members if one not in set(members.remove)]
            document = replaced(there.resource, {"displayName": name})
            document["members"] = [{"value": one, "type": "User"} for one in dict.fromkeys([*held, *members.add])]
            good(self.wire.answer("PUT", path, document=document, etag=etag))
            return
        for number, operations in enumerate(_member_batches(there, name, members)):
            document = {"schemas": [PATCH_OP], "Operations": operations}
            # Each change makes a new version: the first is guarded, the rest follow it at once.
            if number and etag:
                etag = self._etag_now(path)
            good(self.wire.answer("PATCH", path, document=document, etag=etag))

    def delete_group(self, remote_id: str, *, etag: str = "") -> None:
        self._delete(_path("/Groups", remote_id), etag)

    def pages_of_groups(self, after: str = "") -> Iterator[Page]:
        return self._pages("/Groups", group_of, after)

    # Many at once

    def create_users(self, bodies: Mapping[str, Resource]) -> dict[str, Made]:
        operations = [
            {"method": "POST", "path": "/Users", "bulkId": bulk_id, "data": body} for bulk_id, body in bodies.items()
        ]
        document = {"schemas": [BULK_REQUEST], "Operations": operations}
        answer = good(self.wire.answer("POST", "/Bulk", document=document))
        said = answer.document.get("Operations")
        if not isinstance(said, list):
            raise TargetError("target.not_scim", status=answer.status, detail="a bulk answer without operations")
        found: dict[str, Made] = {}
        for one in said:
            if isinstance(one, Mapping) and one.get("bulkId") in bodies:
                found[str(one["bulkId"])] = _made(one, answer.digest)
        return found

    # What the methods above have in common

    def _filtered(self, path: str, attribute: str, value: str) -> Answer:
        query = urlencode({"filter": f"{attribute} eq {json.dumps(value, ensure_ascii=False)}"}, quote_via=quote)
        return good(self.wire.answer("GET", f"{path}?{query}"))

    def _delete(self, path: str, etag: str) -> None:
        answer = self.wire.answer("DELETE", path, etag=etag if self.capabilities.wants_if_match else "")
        if answer.status != 404:
            good(answer)

    def _etag_now(self, path: str) -> str:
        answer = good(self.wire.answer("GET", f"{path}?excludedAttributes=members"))
        return answer.etag

    def _pages(self, path: str, read: Any, after: str) -> Iterator[Page]:
        is_cursor = self.capabilities.paging == Paging.CURSOR
        count = self.capabilities.page_size or limits.TARGET_PAGE
        while True:
            query = {"count": str(count)}
            if is_cursor:
                query["cursor"] = after
            else:
                query["startIndex"] = after or "1"
            answer = good(self.wire.answer("GET", f"{path}?{urlencode(query)}"))
            page = _page(answer, read, after, is_cursor=is_cursor)
            yield page
            if not page.after:
                return
            after = page.after


def user_of(resource: Resource, answer: Answer) -> RemoteUser:
    """An account as JSON shows it. Raises TargetError when it has no id."""
    return RemoteUser(
        remote_id=_remote_id(resource, answer),
        external_id=_text(resource.get("externalId")),
        user_name=_text(resource.get("userName")),
        active=_bool(resource.get("active")),
        resource=resource,
        etag=_etag(resource, answer),
        answer_digest=answer.digest,
        status=answer.status,
    )


def group_of(resource: Resource, answer: Answer) -> RemoteGroup:
    """A group as JSON shows it. Raises TargetError when it has no id."""
    entries = resource.get("members") or []
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise TargetError("target.not_scim", status=answer.status, detail="members are no list")
    members = [_text(one.get("value")) for one in entries if isinstance(one, Mapping)]
    return RemoteGroup(
        remote_id=_remote_id(resource, answer),
        external_id=_text(resource.get("externalId")),
        name=_text(resource.get("displayName")),
        members=tuple(dict.fromkeys(member for member in members if member)),
        resource=resource,
        etag=_etag(resource, answer),
        answer_digest=answer.digest,
        status=answer.status,
    )


def replaced(resource: Resource, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The resource as a PUT sends it: what the target holds, with our changes, and without what it writes itself."""
    found = deepcopy({name: value for name, value in resource.items() if name not in READ_ONLY})
    for path, value in changes.items():
        place, steps = found, _steps(path)
        for step in steps[:-1]:
            held = place.get(step)
            place[step] = held if isinstance(held, dict) else {}
            place = place[step]
        if value is None:
            place.pop(steps[-1], None)
        else:
            place[steps[-1]] = value
    return found


def _operations(changes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Only the forms that every target reads: one path an operation, values of their own type (RFC 7644 3.5.2)."""
    return [
        {"op": "remove", "path": path} if value is None else {"op": "replace", "path": path, "value": value}
        for path, value in changes.items()
    ]


def _steps(path: str) -> list[str]:
    if path.startswith(f"{ENTERPRISE_SCHEMA}:"):
        return [ENTERPRISE_SCHEMA, *path[len(ENTERPRISE_SCHEMA) + 1 :].split(".")]
    return path.split(".")


def _member_batches(there: RemoteGroup, name: str, members: MembersChange) -> Iterator[list[dict[str, Any]]]:
    first: list[dict[str, Any]] = []
    if name != there.name:
        first.append({"op": "replace", "path": "displayName", "value": name})
    size = limits.TARGET_MEMBERS_PER_CHANGE
    for part in in_parts(members.add, size):
        added = [{"value": one} for one in part]
        yield [*first, {"op": "add", "path": "members", "value": added}]
        first = []
    for part in in_parts(members.remove, size):
        # One path a member: a remove with a value list is read in two ways, one of which empties the group.
        gone = [{"op": "remove", "path": f"members[value eq {json.dumps(one)}]"} for one in part]
        yield [*first, *gone]
        first = []
    if first:
        yield first


def _page(answer: Answer, read: Any, after: str, *, is_cursor: bool) -> Page:
    rows: list[Any] = []
    rejected: list[tuple[str, str]] = []
    resources = _resources(answer)
    for resource in resources:
        if not isinstance(resource, Mapping):
            rejected.append(("", "not an object"))
            continue
        try:
            rows.append(read(resource, answer))
        except TargetError as error:
            rejected.append((_text(resource.get("id"))[:REMOTE_ID_CHARS], error.detail))
    total = answer.document.get("totalResults")
    total = total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None
    return Page(rows, total, _after(answer, after, len(resources), total, is_cursor=is_cursor), rejected)


def _after(answer: Answer, after: str, seen: int, total: int | None, *, is_cursor: bool) -> str:
    """Where the next page begins. A page that brings nothing is the last one, whatever the target counts."""
    if is_cursor:
        follows = _text(answer.document.get("nextCursor"))
        if follows and follows == after:
            raise TargetError("target.not_scim", status=answer.status, detail="the cursor leads back to its own page")
        return follows
    start = int(after or "1")
    if not seen or (total is not None and start + seen > total):
        return ""
    return str(start + seen)


def _made(said: Mapping[str, Any], digest: str) -> Made:
    status = _status(said.get("status"))
    if not 200 <= status < 300:
        response = said.get("response")
        scim_type = response.get("scimType") if isinstance(response, Mapping) else ""
        return Made(status=status, error=error_of(status, scim_type=scim_type if isinstance(scim_type, str) else ""))
    response = said.get("response")
    named = response.get("id") if isinstance(response, Mapping) else None
    try:
        remote_id = named if isinstance(named, str) and named else _id_of_location(_text(said.get("location")))
        return Made(remote_id=_checked_id(remote_id, status), etag=_text(said.get("version"))[:400], digest=digest)
    except TargetError as error:
        return Made(status=status, error=error)


def _status(value: Any) -> int:
    """A number, a text, or RFC 7644's first draft `{"code": "201"}`."""
    if isinstance(value, Mapping):
        value = value.get("code")
    try:
        return int(value)
    except (TypeError, ValueError):
        return 502


def _resources(answer: Answer) -> list[Any]:
    found = answer.document.get("Resources", [])
    if not isinstance(found, list) or "totalResults" not in answer.document:
        raise TargetError("target.not_scim", status=answer.status, detail="not a list of resources")
    return found


def _is_called(user: RemoteUser, *, external_id: str, user_name: str) -> bool:
    if external_id:
        return user.external_id == external_id
    return user.user_name.casefold() == user_name.casefold()


def _path(kind: str, remote_id: str) -> str:
    return f"{kind}/{quote(remote_id, safe='')}"


def _id_of_location(location: str) -> str:
    return unquote(location.rstrip("/").rpartition("/")[2])


def _remote_id(resource: Resource, answer: Answer) -> str:
    return _checked_id(resource.get("id"), answer.status)


def _checked_id(value: Any, status: int) -> str:
    """An id that can stand in a path. A number is taken as its digits."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    is_usable = isinstance(text, str) and 0 < len(text) <= REMOTE_ID_CHARS and text.isprintable()
    if not is_usable or text in (".", ".."):
        raise TargetError("target.not_scim", status=status, detail="without an id that can be asked for")
    return str(text)


def _etag(resource: Resource, answer: Answer) -> str:
    """Of this resource: the header speaks of it only where the answer is that resource."""
    if resource is answer.document:
        return answer.etag
    meta = resource.get("meta")
    return _text(meta.get("version"))[:400] if isinstance(meta, Mapping) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _bool(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return _TEXTUAL_BOOLS.get(value.lower()) if isinstance(value, str) else None
