"""A receiving end of webhooks that verifies each message by the scheme's own library before it believes it."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError


class Receiver:
    """Keeps what came. `statuses` are the next answers; once they are used up, 204."""

    def __init__(self) -> None:
        self.secrets: list[str] = []
        self.statuses: list[int] = []
        self.retry_after = ""
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.verified: list[Any] = []
        """The messages of which a signature by one of `secrets` verified when they came."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def _note(self, body: bytes, headers: dict[str, str]) -> None:
        self.bodies.append(body)
        self.headers.append(headers)
        for secret in self.secrets:
            with contextlib.suppress(WebhookVerificationError):
                self.verified.append(Webhook(secret).verify(body, headers))
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver._note(body, {name.lower(): value for name, value in self.headers.items()})
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
                if receiver.retry_after:
                    self.send_header("Retry-After", receiver.retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing: the tests look at what was kept."""

        return Handler
