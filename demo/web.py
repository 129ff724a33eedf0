"""The company's small web kit: requests, answers and a threaded server from the standard library."""

import secrets
import socketserver
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

BODY_BYTES = 64 * 1024
HELD_AT_MOST = 1000
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; frame-ancestors 'none'"
)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Request:
    """What a browser sent. `query_string` is raw, since Redirect-binding signatures cover it as it came."""

    method: str
    path: str
    query_string: str
    form: Mapping[str, str]
    cookies: Mapping[str, str]
    authorization: str = ""
    body: bytes = b""

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.query_string, keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Answer:
    """What it gets: a status, a body and headers."""

    body: bytes
    status: int = 200
    content_type: str = "text/html; charset=utf-8"
    headers: list[tuple[str, str]] = field(default_factory=list)

    def with_cookie(self, name: str, value: str) -> "Answer":
        """Set a cookie for the browser's session; an empty value removes it."""
        age = "" if value else "; Max-Age=0"
        self.headers.append(("Set-Cookie", f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{age}"))
        return self


def redirect(url: str) -> Answer:
    """Go there with a GET."""
    return Answer(b"", status=303, headers=[("Location", url)])


Page = Callable[[Request], Answer]


class Store(Generic[Value]):
    """Values under unguessable handles, in memory, the oldest dropped first."""

    def __init__(self) -> None:
        self._values: dict[str, Value] = {}
        self._lock = threading.Lock()

    def put(self, value: Value) -> str:
        """Keep `value`; returns its handle."""
        handle = secrets.token_urlsafe(24)
        with self._lock:
            self._make_room()
            self._values[handle] = value
        return handle

    def add(self, handle: str, value: Value) -> bool:
        """Keep `value` under this handle; False when something is there already."""
        with self._lock:
            if handle in self._values:
                return False
            self._make_room()
            self._values[handle] = value
        return True

    def find(self, handle: str) -> Value | None:
        return self._values.get(handle)

    def take(self, handle: str) -> Value | None:
        """The value, which is gone afterwards."""
        with self._lock:
            return self._values.pop(handle, None)

    def take_where(self, is_wanted: Callable[[Value], bool]) -> list[str]:
        """Take every value that is wanted. Returns their handles."""
        with self._lock:
            taken = [handle for handle, value in self._values.items() if is_wanted(value)]
            for handle in taken:
                del self._values[handle]
        return taken

    def _make_room(self) -> None:
        while len(self._values) >= HELD_AT_MOST:
            del self._values[next(iter(self._values))]


class Site:
    """A WSGI application of `pages`: {"GET /path": page}. `address` is where browsers find it.

    Forms are taken from our own pages alone, but at the paths of `open_to_all`.
    """

    def __init__(
        self,
        address: str,
        pages: Mapping[str, Page],
        *,
        on_fault: Callable[[Exception], Answer],
        open_to_all: frozenset[str] = frozenset(),
    ) -> None:
        self.address = address
        self.pages = dict(pages)
        self.on_fault = on_fault
        self.open_to_all = open_to_all

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = self._answer(environ)
        status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Content-Security-Policy", POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "same-origin"),
            *(
                []
                if answer.content_type.startswith(("text/css", "text/javascript"))
                else [("Cache-Control", "no-store")]
            ),
            *answer.headers,
        ]
        start_response(status, headers)
        return [answer.body]

    def _answer(self, environ: dict[str, Any]) -> Answer:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        page = self.pages.get(f"{'GET' if method == 'HEAD' else method} {path}")
        if page is None:
            return Answer(b"There is no such page.", status=404, content_type="text/plain; charset=utf-8")
        origin = environ.get("HTTP_ORIGIN")
        if method == "POST" and origin not in (None, self.address) and path not in self.open_to_all:
            return Answer(b"This form was sent from another site.", status=403, content_type="text/plain")
        try:
            return page(read_request(environ))
        except Exception as error:  # noqa: BLE001 - the last resort of a server: say it on a page and go on
            return self.on_fault(error)


class Beside:
    """A WSGI application: `other` below `path`, the site for the rest."""

    def __init__(self, site: Site, path: str, other: Callable[..., Iterable[bytes]]) -> None:
        self.site = site
        self.path = path
        self.other = other

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        is_theirs = environ["PATH_INFO"].startswith(f"{self.path}/")
        return (self.other if is_theirs else self.site)(environ, start_response)


def read_request(environ: Mapping[str, Any]) -> Request:
    """The request of a WSGI environment; of a body only the first 64 KiB are read."""
    length = environ.get("CONTENT_LENGTH") or "0"
    body = environ["wsgi.input"].read(min(int(length), BODY_BYTES)) if length.isdecimal() else b""
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(environ.get("HTTP_COOKIE", ""))
    except CookieError:
        cookies.clear()
    return Request(
        method=environ["REQUEST_METHOD"],
        path=environ["PATH_INFO"],
        query_string=environ.get("QUERY_STRING", ""),
        form=dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)),
        cookies={name: morsel.value for name, morsel in cookies.items()},
        authorization=environ.get("HTTP_AUTHORIZATION", ""),
        body=body,
    )


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64

    def server_bind(self) -> None:
        """As the base class, without its look-up of this machine's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", int(self.server_address[1])
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    def log_request(self, code: object = "-", _size: object = "-") -> None:
        """One line for each request, without its query: that carries messages and codes."""
        sys.stderr.write(f"{self.log_date_time_string()} {self.command} {urlsplit(self.path).path} {code}\n")


def serve(site: Site | Beside, *, port: int) -> None:
    """Answer on loopback until the process is stopped."""
    with _Server(("127.0.0.1", port), _Handler) as server:
        server.set_app(site)
        server.serve_forever()
