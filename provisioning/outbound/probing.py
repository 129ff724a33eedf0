"""Finding out what a target can do, by what it says of itself and by a canary that is written, read and deleted.

What was proved decides; what the target only says stands beside it as evidence.
"""

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from broker import limits
from broker.actors import Actor
from broker.events import catalogue
from broker.events.services import record
from provisioning.outbound.connectors.base import (
    Capabilities,
    MembersChange,
    Method,
    Paging,
    RemoteGroup,
    RemoteUser,
    TargetError,
)
from provisioning.outbound.connectors.discovery import Described, describe
from provisioning.outbound.connectors.scim import ScimConnector
from provisioning.outbound.models import Target
from provisioning.scim.mapping import USER_SCHEMA

CANARY = "countersign-canary"
BULK_BYTES = 1024 * 1024
"""What a bulk request may have where the target does not say."""
_GIVES_UP = frozenset({"target.unauthorized", "target.credential", "target.no_token", "target.throttled"})
"""Nothing can be found out while the target speaks like this."""
_UNREACHED = frozenset({"target.unreachable", "target.timeout", "target.error"})


def probe(target: Target, *, actor: Actor) -> Capabilities:
    """Probe the target, and keep what was found. Raises TargetError where nothing could be found out.

    Needs a moment of the network: never inside a transaction.
    """
    try:
        found = find_out(target)
    except TargetError as error:
        _note_problem(target, error, actor=actor)
        raise
    with transaction.atomic():
        target.capabilities, target.probed_at, target.probe_problem = found.as_column(), timezone.now(), ""
        target.save(update_fields=["capabilities", "probed_at", "probe_problem"])
        record(
            catalogue.TARGET_PROBED,
            actor=actor,
            subject=("target", target.slug),
            application=target.application.slug,
            method=found.method,
            bulk=found.bulk,
            paging=found.paging,
            groups=str(found.group_method or "none"),
        )
    return found


def find_out(target: Target) -> Capabilities:
    """What the target can do, with the evidence. Leaves nothing behind there where it can delete."""
    with ScimConnector(target, capabilities=Capabilities()) as connector:
        said = describe(connector.wire)
        marker = f"{CANARY}-{target.slug}"
        has_groups = target.group_strategy != Target.GroupStrategy.NONE
        return _Probe(connector, said, marker).run(with_groups=has_groups)


@dataclass
class _Probe:
    connector: ScimConnector
    said: Described
    marker: str
    """Of the canaries' names: the same at each probe, so that what a killed one left is found and removed."""
    evidence: list[dict[str, Any]] = field(default_factory=list)
    external_id: str = field(default_factory=lambda: str(uuid4()))

    def run(self, *, with_groups: bool) -> Capabilities:
        found: dict[str, Any] = {
            "page_size": min(self.said.max_results or limits.TARGET_PAGE, limits.TARGET_PAGE),
            "said": asdict(self.said),
        }
        canary = self._create()
        try:
            found |= self._learn(canary)
            if with_groups and self.said.groups is not False:
                found["group_method"] = self._groups(canary)
            found |= self._bulk()
            found |= self._paging()
        finally:
            found["deletes"] = self._remove(canary)
        return Capabilities(**found, evidence=self.evidence)

    def _note(self, step: str, result: str) -> None:
        self.evidence.append({"step": step, "result": result, "at": timezone.now().isoformat(timespec="seconds")})

    def _try(self, step: str, act: Callable[[], Any]) -> Any:
        """What `act` returns, None where the target refuses. Raises TargetError where nobody answers who could."""
        try:
            result = act()
        except TargetError as error:
            if error.code in _GIVES_UP or (error.code in _UNREACHED and not error.http_status):
                raise
            self._note(step, f"{error.code} ({error.detail})" if error.detail else error.code)
            return None
        self._note(step, "worked" if result is not None else "found nothing")
        return result

    def _do(self, step: str, act: Callable[[], None]) -> bool:
        """Whether the target did what `act` asks, as far as it says."""

        def done() -> bool:
            act()
            return True

        return self._try(step, done) is not None

    def _body(self, marker: str, external_id: str) -> dict[str, Any]:
        return {
            "schemas": [USER_SCHEMA],
            "externalId": external_id,
            "userName": f"{marker}@example.com",
            "displayName": "Countersign canary",
            "name": {"givenName": "Countersign", "familyName": "Canary"},
            "emails": [{"value": f"{marker}@example.com", "type": "work", "primary": True}],
            "active": True,
        }

    def _clear(self) -> None:
        """Remove what an earlier probe left, where it can be found."""
        for marker in (self.marker, *self._bulk_markers):
            left = self._try("look for canaries", partial(self._named, f"{marker}@example.com"))
            if left is not None:
                self._remove(left)

    def _named(self, user_name: str) -> RemoteUser | None:
        return self.connector.find_user(user_name=user_name)

    @property
    def _bulk_markers(self) -> tuple[str, str]:
        return f"{self.marker}-bulk-1", f"{self.marker}-bulk-2"

    def _create(self) -> RemoteUser:
        """Raises TargetError: without an account nothing can be found out."""
        self._clear()
        try:
            created = self.connector.create_user(self._body(self.marker, self.external_id))
        except TargetError as error:
            if error.code != "target.conflict":
                raise
            # One is left that cannot be found by its name.
            self.marker = f"{self.marker}-{secrets.token_hex(4)}"
            created = self.connector.create_user(self._body(self.marker, self.external_id))
        self._note("create an account", f"{created.status}")
        return created

    def _learn(self, canary: RemoteUser) -> dict[str, Any]:
        connector = self.connector
        read = self._try("read it", lambda: connector.read_user(canary.remote_id)) or canary
        by_id = self._try("find it by externalId", lambda: connector.find_user(external_id=self.external_id))
        by_name = self._try("find it by userName", lambda: connector.find_user(user_name=canary.user_name))
        found: dict[str, Any] = {
            "keeps_external_id": read.external_id == self.external_id,
            "finds_external_id": by_id is not None,
            "finds_user_name": by_name is not None,
            "wants_if_match": bool(read.etag),
        }
        connector.capabilities = Capabilities(**found)
        found["method"], found["closes"] = self._method(read)
        connector.capabilities = Capabilities(**found)
        return found

    def _method(self, canary: RemoteUser) -> tuple[Method, bool]:
        """PATCH where a change by it is shown afterwards, else PUT; and whether an account can be closed so."""
        known = self.connector.capabilities
        for method in Method:
            self.connector.capabilities = Capabilities.of(known.as_column() | {"method": method})
            there = self.connector.read_user(canary.remote_id)
            if there is None:
                raise TargetError("target.not_scim", detail="the account that was created is not there")
            name = f"Countersign canary, {method}"
            act = partial(self.connector.change_user, there, {"displayName": name})
            shown = self._try(f"change it by {method.upper()}", act)
            if shown is None:
                continue
            if shown.resource.get("displayName") != name:
                self._note(f"read the change by {method.upper()} back", "it is not there")
                continue
            return method, self._closes(canary, method)
        raise TargetError("target.not_offered", detail="accounts can be changed neither by PATCH nor by PUT")

    def _closes(self, canary: RemoteUser, method: Method) -> bool:
        step = f"close it by {method.upper()}"
        self._do(step, lambda: self.connector.close_user(canary.remote_id))
        there = self.connector.read_user(canary.remote_id)
        is_closed = there is not None and there.active is False
        self._note("read back that it is closed", "it is" if is_closed else "it is not")
        return is_closed

    def _groups(self, canary: RemoteUser) -> Method | None:
        connector = self.connector
        group = self._try("create a group", lambda: connector.create_group(self.marker, str(uuid4())))
        if group is None:
            return None
        try:
            return next((method for method in Method if self._changes_members(group, canary, method)), None)
        finally:
            self._do("delete the group", lambda: connector.delete_group(group.remote_id, etag=self._group_etag(group)))

    def _changes_members(self, group: RemoteGroup, canary: RemoteUser, method: Method) -> bool:
        """Whether a member comes and goes by this method, as read back."""
        connector = self.connector
        connector.capabilities = Capabilities.of(connector.capabilities.as_column() | {"group_method": method})
        wanted = (canary.remote_id,)
        for members, change in ((wanted, MembersChange(add=wanted)), ((), MembersChange(remove=wanted))):
            verb = "add" if members else "remove"
            there = connector.read_group(group.remote_id)
            if there is None:
                return False
            act = partial(connector.change_group, there, name=self.marker, members=change)
            is_done = self._do(f"{verb} a member by {method.upper()}", act)
            read = connector.read_group(group.remote_id)
            if not is_done or read is None or read.members != members:
                return False
        return True

    def _group_etag(self, group: RemoteGroup) -> str:
        there = self.connector.read_group(group.remote_id)
        return there.etag if there else ""

    def _bulk(self) -> dict[str, Any]:
        """Two accounts by one request, each with a result of its own."""
        if self.said.bulk is False:
            return {}
        operations = self.said.bulk_operations or limits.TARGET_BULK_OPERATIONS
        if operations < 2:
            return {}
        marked = {str(uuid4()): marker for marker in self._bulk_markers}
        bodies = {bulk_id: self._body(marker, bulk_id) for bulk_id, marker in marked.items()}
        made = self._try("create two accounts by bulk", lambda: self.connector.create_users(bodies)) or {}
        proved = 0
        for bulk_id, one in made.items():
            there = self.connector.read_user(one.remote_id) if one.remote_id else None
            proved += there is not None and there.user_name == bodies[bulk_id]["userName"]
            if there is not None:
                self._remove(there)
        self._note("read back what the bulk created", f"{proved} of 2")
        if proved < 2:
            return {}
        return {
            "bulk": True,
            "bulk_operations": min(operations, limits.TARGET_BULK_OPERATIONS),
            "bulk_bytes": min(self.said.bulk_bytes or BULK_BYTES, BULK_BYTES),
        }

    def _paging(self) -> dict[str, Any]:
        """By index where that is taken; by cursor where only that is (RFC 9865)."""
        ways = (Paging.CURSOR, Paging.INDEX) if self.said.is_cursor_only else (Paging.INDEX, Paging.CURSOR)
        for paging in ways:
            self.connector.capabilities = Capabilities.of(
                self.connector.capabilities.as_column() | {"paging": paging, "page_size": 1}
            )
            page = self._try(f"list accounts by {paging}", lambda: next(self.connector.pages_of_users()))
            if page is not None and (page.rows or page.rejected):
                return {"paging": paging}
        return {}

    def _remove(self, canary: RemoteUser) -> bool:
        """Delete a canary, or else close it. Returns whether it is gone."""
        there = self._try("read a canary before it is deleted", lambda: self.connector.read_user(canary.remote_id))
        if there is None:
            return False
        self._do("delete a canary", partial(self.connector.delete_user, there.remote_id, etag=there.etag))
        left = self.connector.read_user(canary.remote_id)
        if left is not None:
            self._note("read back that it is gone", "it is still there")
            self._do("close it instead", lambda: self.connector.close_user(left.remote_id))
        return left is None


def _note_problem(target: Target, error: TargetError, *, actor: Actor) -> None:
    with transaction.atomic():
        target.probe_problem = f"{error.code}: {error.detail}"[:500]
        target.save(update_fields=["probe_problem"])
        record(
            catalogue.TARGET_PROBED,
            actor=actor,
            subject=("target", target.slug),
            application=target.application.slug,
            code=error.code,
        )
