"""What a target shows and can do, as values, and the protocol of whoever talks to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from broker.errors import BrokerError

Resource = Mapping[str, Any]
"""A resource as JSON."""


class TargetError(BrokerError):
    """An exchange that did not do what was asked. `detail` holds no secret and nothing personal.

    `status` is None where there was no answer. `is_sent`: the target may have acted on it. `scim_type` is its own word
    for the fault (RFC 7644 section 3.12), `headers` those of the answer by lower-case name.
    """

    def __init__(
        self,
        code: str,
        *,
        status: int | None = None,
        detail: str = "",
        is_sent: bool = True,
        scim_type: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, detail=detail)
        self.http_status = status
        self.is_sent = is_sent
        self.scim_type = scim_type
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class RemoteUser:
    """An account as the target shows it. `answer_digest` is the SHA-256 (hex) of the bytes that said so."""

    remote_id: str
    external_id: str
    user_name: str
    active: bool | None
    resource: Resource
    etag: str = ""
    answer_digest: str = ""
    status: int = 200


@dataclass(frozen=True, slots=True)
class Look:
    """What looking for an account showed; `digest` and `status` are of the answer, also where it shows none."""

    user: RemoteUser | None
    digest: str
    status: int


@dataclass(frozen=True, slots=True)
class RemoteGroup:
    """A group as the target shows it, with the remote ids of its members."""

    remote_id: str
    external_id: str
    name: str
    members: tuple[str, ...]
    resource: Resource
    etag: str = ""
    answer_digest: str = ""
    status: int = 200


@dataclass(frozen=True, slots=True)
class Page:
    """A part of an inventory. `after` is where the next one begins, empty at the end; `total` as the target counts.

    `rejected` are records that could not be read, as (remote id or "", reason).
    """

    rows: Sequence[Any]
    total: int | None
    after: str
    rejected: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one operation of a bulk: `remote_id` where it made an account, else the error."""

    remote_id: str = ""
    etag: str = ""
    status: int = 201
    digest: str = ""
    error: TargetError | None = None


class Method(StrEnum):
    """How something is changed."""

    PATCH = "patch"
    PUT = "put"


class Paging(StrEnum):
    INDEX = "index"
    CURSOR = "cursor"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a target can do, as its probe proved it; what it only says of itself stands in `said`.

    `group_method` is None where groups are not offered. `evidence` are the steps of the probe.
    """

    method: Method = Method.PATCH
    finds_external_id: bool = True
    finds_user_name: bool = True
    keeps_external_id: bool = True
    closes: bool = True
    """`active` can be set to false, and is then shown so."""
    deletes: bool = True
    paging: Paging = Paging.INDEX
    page_size: int = 100
    wants_if_match: bool = False
    """It shows versions, and is told which one we change (RFC 7644 section 3.14)."""
    bulk: bool = False
    bulk_operations: int = 0
    bulk_bytes: int = 0
    group_method: Method | None = None
    said: Mapping[str, Any] = field(default_factory=dict)
    evidence: Sequence[Mapping[str, Any]] = ()

    def as_column(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def of(cls, column: Mapping[str, Any]) -> "Capabilities":
        """From JSON; of a target that was not probed, what the standard asks of everybody."""
        known = {name: value for name, value in column.items() if name in {one.name for one in fields(cls)}}
        for name, kind in (("method", Method), ("paging", Paging), ("group_method", Method)):
            if known.get(name) is not None:
                known[name] = kind(known[name])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class MembersChange:
    """What is to change in a group, in remote ids."""

    add: Sequence[str] = ()
    remove: Sequence[str] = ()


class Connector(Protocol):
    """Speaks with one target, from many threads at once. Everything raises TargetError."""

    capabilities: Capabilities

    def look_for(self, *, external_id: str = "", user_name: str = "") -> Look:
        """The account of that externalId, or of that name."""

    def look_at(self, remote_id: str) -> Look:
        """The account of that id."""

    def find_user(self, *, external_id: str = "", user_name: str = "") -> RemoteUser | None:
        """As `look_for`, for whom the answer itself does not matter."""

    def read_user(self, remote_id: str) -> RemoteUser | None:
        """As `look_at`. None when it is not there."""

    def create_user(self, body: Resource) -> RemoteUser:
        """The account as the target then shows it."""

    def change_user(self, there: RemoteUser, changes: Mapping[str, Any]) -> RemoteUser:
        """Set {SCIM path: value} (None: remove) on what was read, by the target's method."""

    def close_user(self, remote_id: str, *, there: RemoteUser | None = None) -> None:
        """Set `active` to false. `there` is what was read, for targets that take whole resources or versions only."""

    def delete_user(self, remote_id: str, *, etag: str = "") -> None:
        """Also when it is gone already."""

    def pages_of_users(self, after: str = "") -> Iterator[Page]:
        """Every account, from where a page ended."""

    def pages_of_groups(self, after: str = "") -> Iterator[Page]:
        """Every group, from where a page ended; members only where the target lists them."""

    def find_group(self, *, external_id: str = "", name: str = "") -> RemoteGroup | None: ...

    def read_group(self, remote_id: str) -> RemoteGroup | None: ...

    def create_group(self, name: str, external_id: str) -> RemoteGroup:
        """Without members."""

    def change_group(self, there: RemoteGroup, *, name: str, members: MembersChange) -> None:
        """Rename and change members, in as many requests as the target needs."""

    def delete_group(self, remote_id: str, *, etag: str = "") -> None: ...

    def create_users(self, bodies: Mapping[str, Resource]) -> dict[str, Made]:
        """By a bulk request: {bulkId: what became of it}; those it said nothing about are missing."""

    def close(self) -> None:
        """End the connections."""


WAIT_WITHOUT_WORD = timedelta(seconds=5)
"""For a target that says 429 and not for how long."""
