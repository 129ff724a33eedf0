"""Connections kept open to one place that is written to often, under the same guard as every other way out.

Each new connection has its addresses judged and is made to one of them; no redirects, caps on bytes, and one deadline
per exchange, whatever the other side does in between. Many threads may exchange at once.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpcore2

from broker import limits
from broker.errors import BrokerError
from broker.outgoing import (
    USER_AGENT,
    Deadline,
    Fetched,
    Place,
    Resolve,
    judged_addresses,
    system_resolver,
    transport_to,
)


class Why(StrEnum):
    """Why an exchange gave no answer."""

    ADDRESS = "address"
    """The place may not be reached, or its name leads nowhere."""
    CONNECT = "connect"
    TIMEOUT = "timeout"
    CUT = "cut"
    REDIRECT = "redirect"
    COMPRESSED = "compressed"
    TOO_LARGE = "too_large"
    BUSY = "busy"
    """No connection of ours became free in time."""


_NOT_SENT = frozenset({Why.ADDRESS, Why.CONNECT, Why.BUSY})


class Unanswered(BrokerError):
    """An exchange without an answer that can be read. `is_sent`: the other side may have acted on it all the same."""

    def __init__(self, why: Why, cause: BrokerError) -> None:
        super().__init__(cause.code, detail=cause.detail, expected=cause.expected, actual=cause.actual)
        self.why = why
        self.is_sent = why not in _NOT_SENT


class Origin:
    """One place by its base address, for `with`. All connections end with the block.

    `base_url` is judged at once: raises BrokerError("outgoing.refused") when it is not plain.
    """

    def __init__(
        self,
        base_url: str,
        *,
        purpose: str,
        max_connections: int,
        seconds: float = limits.OUTGOING_TOTAL_SECONDS,
        max_bytes: int = limits.OUTGOING_JSON_BYTES,
        resolve: Resolve = system_resolver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = Place.parse(base_url, purpose=purpose)
        self._prefix = urlsplit(base_url).path.rstrip("/")
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._resolve = resolve
        self._clock = clock
        self._free = threading.BoundedSemaphore(max_connections)
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def exchange(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Fetched:
        """Send one request to `path` (with its query, below the base address) and read the whole answer.

        Any status but a redirect is an answer. Raises Unanswered. A kept connection that the other side ended
        meanwhile is not used; a GET that ends with it is asked once more.
        """
        deadline = time.monotonic() + self._seconds
        if not self._free.acquire(timeout=self._seconds):
            raise self._refused(Why.BUSY, "no connection became free")
        try:
            return self._exchange(method, f"{self._prefix}{path}", headers or {}, body, deadline)
        finally:
            self._free.release()

    def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline: float
    ) -> Fetched:
        kept = self._take()
        if kept is not None:
            try:
                return self._use(kept, method, path, headers, body, deadline)
            except Unanswered as error:
                if error.why != Why.CUT or method not in ("GET", "HEAD"):
                    raise
        return self._use(self._connect(), method, path, headers, body, deadline)

    def _take(self) -> "_Connection | None":
        """A kept connection that was not ended meanwhile; the one used last, so that the others may go."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.is_usable(self._clock()):
                return connection
            connection.close()

    def _connect(self) -> "_Connection":
        try:
            addresses = judged_addresses(self._place, self._resolve)
        except BrokerError as error:
            raise Unanswered(Why.ADDRESS, error) from error
        try:
            return _Connection(self._place, [_way(address) for address in addresses], self._clock())
        except OSError as error:
            raise self._refused(Why.ADDRESS, f"{type(error).__name__}: the trusted certificates") from error

    def _use(
        self,
        connection: "_Connection",
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: float,
    ) -> Fetched:
        is_kept = False
        try:
            fetched = connection.exchange(
                method, path, headers, body, seconds=deadline - time.monotonic(), max_bytes=self._max_bytes
            )
            is_kept = True
        except _Unread as error:
            raise self._refused(error.why, str(error)) from error
        finally:
            if is_kept and not self._is_closed:
                with self._lock:
                    self._idle.append(connection)
            else:
                connection.close()
        return fetched

    def _refused(self, why: Why, reason: str) -> Unanswered:
        return Unanswered(why, self._place.refused(reason))


class _Unread(Exception):
    def __init__(self, why: Why, reason: str) -> None:
        super().__init__(reason)
        self.why = why


@dataclass(frozen=True, slots=True)
class _Way:
    """A judged address, and what leads there."""

    host: bytes
    transport: Any
    deadline: Deadline


def _way(address: Any) -> _Way:
    deadline = Deadline(limits.OUTGOING_TOTAL_SECONDS)
    transport = transport_to(address, deadline, idle_seconds=limits.ORIGIN_IDLE_SECONDS)
    return _Way(str(address).encode(), transport, deadline)


class _Connection:
    """One connection, made at its first exchange to the first of the judged addresses that answers."""

    def __init__(self, place: Place, ways: list[_Way], now: float) -> None:
        self._place = place
        self._ways = ways
        self._until = now + limits.ORIGIN_CONNECTION_SECONDS
        self._chosen: _Way | None = None
        self._fixed = [
            (b"Host", place.host_header.encode()),
            (b"User-Agent", USER_AGENT.encode()),
            (b"Accept-Encoding", b"identity"),
        ]

    def is_usable(self, now: float) -> bool:
        """Whether it is young enough: with a new connection its name is judged again."""
        return now < self._until

    def close(self) -> None:
        for way in self._ways:
            way.transport.close()

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        seconds: float,
        max_bytes: int,
    ) -> Fetched:
        """Raises _Unread."""
        if seconds <= 0:
            raise _Unread(Why.BUSY, "no time was left")
        ends = time.monotonic() + seconds
        sent = [*self._fixed, *((name.encode(), value.encode()) for name, value in headers.items())]
        if body is not None:
            sent.append((b"Content-Length", str(len(body)).encode()))
        for way in [self._chosen] if self._chosen else self._ways:
            way.deadline.restart(ends - time.monotonic())
            try:
                return self._over(way, method, path, sent, body, max_bytes)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout, httpcore2.ProxyError) as error:
                unreached = _Unread(Why.CONNECT, f"no connection: {error}")
            except (TimeoutError, httpcore2.TimeoutException) as error:
                raise _Unread(Why.TIMEOUT, f"{type(error).__name__} after {way.deadline.passed():.1f} s") from error
            except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
                raise _Unread(Why.CUT, f"{type(error).__name__} after {way.deadline.passed():.1f} s") from error
        raise unreached

    def _over(
        self, way: _Way, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes | None, max_bytes: int
    ) -> Fetched:
        url = httpcore2.URL(
            scheme=self._place.scheme.encode(), host=way.host, port=self._place.port, target=path.encode()
        )
        steps = {"connect": limits.OUTGOING_CONNECT_SECONDS}
        request = httpcore2.Request(
            method,
            url,
            headers=headers,
            content=body,
            extensions={"sni_hostname": self._place.host, "timeout": steps},
        )
        # The library's Client takes twice the time of what is below it, which is its own httpcore2.
        with closing(way.transport._pool.handle_request(request)) as response:
            self._chosen = way
            return _read(response, max_bytes=max_bytes, deadline=way.deadline)


def _read(response: Any, *, max_bytes: int, deadline: Deadline) -> Fetched:
    if 300 <= response.status < 400:
        raise _Unread(Why.REDIRECT, f"a redirect ({response.status})")
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    if headers.get("content-encoding", "identity") != "identity":
        raise _Unread(Why.COMPRESSED, "a compressed answer")
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > max_bytes:
            raise _Unread(Why.TOO_LARGE, f"the answer has more than {max_bytes} bytes")
        deadline.left()
    return Fetched(response.status, headers, bytes(body))
