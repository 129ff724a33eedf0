"""The only way out over HTTP, built so that an address from outside cannot lead inside.

A name is resolved once, every address it has is judged, and the connection goes to a judged address: a second answer
of the name server is never asked for. No redirects, no proxy or certificates from the environment, and caps on time
and bytes that hold for headers and bodies alike.
"""

import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

import httpx2
from django.conf import settings

from broker import limits
from broker.env import is_loopback
from broker.errors import BrokerError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str], list[str]]
LOOPBACK = (ip_address("127.0.0.1"), ip_address("::1"))
USER_AGENT = "Countersign"
UNICAST = ip_network("2000::/3")
"""All IPv6 that is given out for the public Internet (RFC 4291 section 2.4)."""
NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments (RFC 6890)
        "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
        "2001::/23",  # Teredo and other protocol assignments (RFC 2928)
        "2002::/16",  # 6to4, with any IPv4 address inside (RFC 3056)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
"""What this Python's `is_global` lets through although it does not lead to one public place."""
_PRINTABLE = re.compile(r"[!-\[\]-~]+", re.ASCII)
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: any status but a redirect; headers by lower-case name; at most `max_bytes` of body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def system_resolver(host: str) -> list[str]:
    """The addresses of `host` by the system's name service, in its order."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)))


def fetch(
    url: str,
    *,
    purpose: str,
    max_bytes: int,
    accept: str,
    method: Literal["GET", "POST"] = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    connect_seconds: float = limits.OUTGOING_CONNECT_SECONDS,
    total_seconds: float = limits.OUTGOING_TOTAL_SECONDS,
    resolve: Resolve = system_resolver,
) -> Fetched:
    """Fetch `url` for `purpose`, which the trace shows.

    https, to public addresses; beyond them only what `settings.OUTGOING_NETWORKS` names, and plain http only to
    loopback that is named there. Raises BrokerError("outgoing.refused") for whatever keeps the answer away.
    """
    deadline = Deadline(total_seconds)
    place = Place.parse(url, purpose=purpose)
    sent = {**(headers or {}), "Host": place.host_header, "Accept": accept, "Accept-Encoding": "identity"}
    unreached: Exception | None = None
    for address in judged_addresses(place, resolve):
        try:
            with (
                _client(address, deadline, connect_seconds=connect_seconds) as client,
                client.stream(
                    method,
                    place.at(address),
                    headers=sent,
                    content=body,
                    extensions={"sni_hostname": place.host},
                ) as response,
            ):
                return _read(response, place, max_bytes=max_bytes, deadline=deadline)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            unreached = error  # nothing was sent yet: another address of the name may answer
        except (httpx2.HTTPError, OSError) as error:
            raise place.refused(f"{type(error).__name__} after {deadline.passed():.1f} s") from error
    raise place.refused(f"no connection: {unreached}") from unreached


@dataclass(frozen=True, slots=True)
class Place:
    """An address as it was asked for, taken apart once."""

    purpose: str
    scheme: str
    host: str
    port: int
    raw_path: str

    @classmethod
    def parse(cls, url: str, *, purpose: str) -> "Place":
        """Raises BrokerError unless `url` is plain: http(s), a name or an address, perhaps a port, path and query."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        host = (parts.hostname or "").rstrip(".")
        place = cls(purpose, parts.scheme, host, port or _DEFAULT_PORTS.get(parts.scheme, 0), _raw_path(parts))
        if (
            not _PRINTABLE.fullmatch(url)
            or parts.scheme not in _DEFAULT_PORTS
            or not host
            or port == 0
            or "%" in host
            or parts.username is not None
            or parts.fragment
        ):
            raise place.refused("not a plain address", expected="https://host[:port]/path in ASCII", actual=url)
        if parts.scheme == "http" and not is_loopback(host):
            raise place.refused("plain http leaves the machine", expected="https", actual=url)
        return place

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def at(self, address: Address) -> httpx2.URL:
        """The same place by its address: what is connected to is what was judged."""
        return httpx2.URL(scheme=self.scheme, host=str(address), port=self.port, raw_path=self.raw_path.encode())

    def refused(self, reason: str, *, expected: object = "", actual: object = "") -> BrokerError:
        return BrokerError(
            "outgoing.refused",
            detail=f"{self.purpose} from {self.scheme}://{self.host}:{self.port}: {reason}",
            expected=expected,
            actual=actual,
        )


def _raw_path(parts: SplitResult) -> str:
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def is_public(address: Address) -> bool:
    """Whether `address` is one place of the public Internet: nothing private, shared, embedded or for many."""
    if not address.is_global or address.is_multicast or any(address in network for network in NOT_PUBLIC):
        return False
    return address.version == 4 or address in UNICAST


def is_allowed(address: Address) -> bool:
    """Whether the operator named a network of `address` (`settings.OUTGOING_NETWORKS`)."""
    return any(address in ip_network(network) for network in settings.OUTGOING_NETWORKS)


def judged_addresses(place: Place, resolve: Resolve) -> list[Address]:
    """Every address of the target's name, all of them fit to be reached. Raises BrokerError."""
    if place.host == "localhost" or place.host.endswith(".localhost"):
        # No name service decides what `localhost` is (RFC 6761 section 6.3); the allowed family is taken.
        addresses = [address for address in LOOPBACK if is_allowed(address)] or [LOOPBACK[0]]
    else:
        try:
            addresses = [ip_address(found) for found in resolve(place.host)]
        except (OSError, ValueError) as error:
            raise place.refused("the name does not resolve", actual=place.host) from error
    if not addresses:
        raise place.refused("the name has no address", actual=place.host)
    for address in addresses:
        if not is_allowed(address) and not is_public(address):
            raise place.refused("not a public address", expected="an address of the Internet", actual=address)
    return addresses


class Deadline:
    """The one moment at which a whole exchange has to be over."""

    def __init__(self, seconds: float) -> None:
        self.restart(seconds)

    def restart(self, seconds: float) -> None:
        """Begin another exchange of `seconds` on the same connection."""
        self._began = time.monotonic()
        self._ends = self._began + seconds

    def left(self) -> float:
        """Seconds that are left, above zero. Raises TimeoutError."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def passed(self) -> float:
        return time.monotonic() - self._began


class DeadlineStream:
    """A connection on which every step ends at the deadline: a peer that trickles gains no time."""

    def __init__(self, stream: Any, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the library's signature
        return bytes(self._stream.read(max_bytes, self._deadline.left()))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the library's signature
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None, timeout: float | None) -> Any:
        step = min(timeout or self._deadline.left(), self._deadline.left())
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, step), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class DeadlineBackend:
    """httpcore2's way to the network, with our deadline on each connection."""

    def __init__(self, backend: Any, deadline: Deadline) -> None:
        self._backend = backend
        self._deadline = deadline

    def connect_tcp(self, *, timeout: float | None, **where: Any) -> DeadlineStream:
        step = min(timeout or self._deadline.left(), self._deadline.left())
        return DeadlineStream(self._backend.connect_tcp(timeout=step, **where), self._deadline)


def _client(address: Address, deadline: Deadline, *, connect_seconds: float) -> httpx2.Client:
    """A client for one exchange."""
    return httpx2.Client(
        transport=transport_to(address, deadline),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx2.Timeout(limits.OUTGOING_TOTAL_SECONDS, connect=connect_seconds),
        headers={"User-Agent": USER_AGENT},
    )


def transport_to(address: Address, deadline: Deadline, *, idle_seconds: float = 0.0) -> httpx2.HTTPTransport:
    """The way to a judged address, with connections that live for `idle_seconds` after an exchange.

    The proxy leads to the Internet; what the operator named is reached directly.
    """
    trust = _trust(settings.OUTGOING_CA_FILE)
    proxy = None
    if settings.OUTGOING_PROXY and not is_allowed(address):
        to_proxy = trust if settings.OUTGOING_PROXY.startswith("https:") else None
        proxy = httpx2.Proxy(settings.OUTGOING_PROXY, ssl_context=to_proxy)
    kept = httpx2.Limits(max_connections=1, keepalive_expiry=idle_seconds)
    transport = httpx2.HTTPTransport(verify=trust, trust_env=False, proxy=proxy, limits=kept)
    # The library's own timeouts begin anew with each byte, and it offers no public place for a backend of one's own.
    pool: Any = transport._pool
    pool._network_backend = DeadlineBackend(pool._network_backend, deadline)
    return transport


@lru_cache(maxsize=4)
def _trust(ca_file: str) -> ssl.SSLContext:
    """Whose certificates we accept: those of `ca_file` alone, else the system's; never what the environment names."""
    if not ca_file:
        return httpx2.create_ssl_context(trust_env=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=ca_file)
    return context


def _read(response: httpx2.Response, place: Place, *, max_bytes: int, deadline: Deadline) -> Fetched:
    if 300 <= response.status_code < 400:
        raise place.refused("a redirect", expected="an answer", actual=response.status_code)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise place.refused("a compressed answer", expected="identity", actual=response.headers["Content-Encoding"])
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise place.refused("the answer is too large", expected=f"at most {max_bytes} bytes")
        deadline.left()
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Fetched(response.status_code, headers, bytes(body))
