"""A server of one socket that answers exactly the bytes that a test wants, as slowly as it wants."""

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = Callable[[socket.socket], None]


class Server:
    """Accepts connections on a port of its own, keeps what was asked, and lets `answer` answer."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.closing = threading.Event()
        self._answer = answer
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                connection.settimeout(5)
                try:
                    self._talk(connection)
                except OSError:
                    continue  # the other side ended it: many tests are about just that

    def _talk(self, connection: socket.socket) -> None:
        if self._context is None:
            self.requests.append(_request(connection))
            self._answer(connection)
            return
        with self._context.wrap_socket(connection, server_side=True) as wrapped:
            self.requests.append(_request(wrapped))
            self._answer(wrapped)


def _request(connection: socket.socket) -> bytes:
    """Head and body, which may come in several packets."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += connection.recv(65536) or b"\r\n\r\n"
    head, _, body = raw.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def serving(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A running server; it has ended when the block has."""
    server = Server(answer, context)
    try:
        yield server
    finally:
        server.close()


def saying(raw: bytes) -> Answer:
    """Answer these bytes at once."""
    return lambda connection: connection.sendall(raw)


def trickling(head: bytes, piece: bytes, *, pause: float, pieces: int) -> Answer:
    """Answer `head`, then a piece after each pause."""
    wait = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(pieces):
            wait.wait(pause)
            connection.sendall(piece)

    return answer
