"""Connections kept open to one place: judged like every other, used again, and ended in time."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from broker.errors import BrokerError
from broker.origins import Origin, Unanswered, Why
from tests.fakes.server import saying, serving, trickling

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(autouse=True)
def _loopback_is_allowed(settings):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""
    settings.OUTGOING_CA_FILE = ""


def origin(port: int, **changes) -> Origin:
    return Origin(f"http://127.0.0.1:{port}/scim", **{"purpose": "a test", "max_connections": 2, **changes})


def refused(place: Origin, method: str = "GET") -> Unanswered:
    with place, pytest.raises(Unanswered) as caught:
        place.exchange(method, "/Users", body=b"{}" if method == "POST" else None)
    assert caught.value.code == "outgoing.refused"
    return caught.value


@contextmanager
def keeping(answer: bytes = OK, *, each: int = 1_000) -> Iterator[tuple[int, list[list[bytes]]]]:
    """A server that answers several requests on a connection, and ends it after `each`; what was asked, by it."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[list[bytes]] = []

    def talk(connection: socket.socket, heads: list[bytes]) -> None:
        with connection:
            for _ in range(each):
                raw = b""
                while b"\r\n\r\n" not in raw:
                    read = connection.recv(65536)
                    if not read:
                        return
                    raw += read
                heads.append(raw)
                connection.sendall(answer)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            heads: list[bytes] = []
            asked.append(heads)
            threading.Thread(target=talk, args=(connection, heads), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def in_threads(count: int, act: Callable[[], object]) -> None:
    threads = [threading.Thread(target=act) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_connection_is_used_again_and_carries_host_and_path():
    with keeping() as (port, asked), origin(port) as place:
        for _ in range(5):
            assert place.exchange("GET", "/Users?count=1", headers={"X-One": "1"}).status == 200
    [heads] = asked
    assert len(heads) == 5
    assert heads[0].startswith(b"GET /scim/Users?count=1 HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{port}\r\n".encode() in heads[0]
    assert b"Accept-Encoding: identity\r\n" in heads[0]


def test_many_threads_share_no_more_connections_than_allowed():
    with keeping() as (port, asked), origin(port, max_connections=3) as place:
        in_threads(12, lambda: [place.exchange("GET", "/Users") for _ in range(10)])
    assert len(asked) <= 3
    assert sum(len(heads) for heads in asked) == 120


def test_a_connection_that_the_other_side_ended_is_made_anew():
    with keeping(each=1) as (port, asked), origin(port) as place:
        for _ in range(3):
            assert place.exchange("GET", "/Users").status == 200
    assert len(asked) == 3


def test_an_old_connection_is_made_anew_so_that_its_name_is_judged_again():
    now = [0.0]
    with keeping() as (port, asked), origin(port, clock=lambda: now[0]) as place:
        place.exchange("GET", "/Users")
        now[0] = 61.0
        place.exchange("GET", "/Users")
    assert len(asked) == 2


def test_a_name_that_leads_inside_is_refused_for_every_connection():
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    with keeping(each=1) as (port, asked):
        place = Origin(
            f"https://idp.example:{port}/scim", purpose="a test", max_connections=1, resolve=lambda _: answers.pop()
        )
        error = refused(place)
    assert (error.why, error.is_sent, asked) == (Why.ADDRESS, False, [])


@pytest.mark.parametrize(
    "url", ["http://crm.example/scim", "ftp://crm.example/", "https://a:b@crm.example/", "https://"]
)
def test_what_is_no_plain_address_is_refused_at_once(url):
    with pytest.raises(BrokerError) as caught:
        Origin(url, purpose="a test", max_connections=1)
    assert caught.value.code == "outgoing.refused"


def test_nobody_there_is_told_apart_from_an_answer_that_was_lost():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = refused(origin(port), "POST")
    assert (error.why, error.is_sent) == (Why.CONNECT, False)
    with serving(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")) as server:
        error = refused(origin(server.port), "POST")
    assert (error.why, error.is_sent) == (Why.CUT, True)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", Why.REDIRECT),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx", Why.COMPRESSED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000, Why.TOO_LARGE),
        (b"nonsense\r\n\r\n", Why.CUT),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, Why.CUT),
    ],
)
def test_what_is_no_answer_is_refused_by_its_reason(raw, why):
    with serving(saying(raw)) as server:
        error = refused(origin(server.port, max_bytes=1_000))
    assert (error.why, error.is_sent) == (why, True)


def test_a_peer_that_trickles_gains_no_time():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    began = time.monotonic()
    with serving(trickling(head, b"x", pause=0.05, pieces=60)) as server:
        error = refused(origin(server.port, seconds=0.4))
    assert error.why == Why.TIMEOUT
    assert time.monotonic() - began < 3.0


def test_a_cut_get_on_a_kept_connection_is_asked_once_more_and_a_post_never():
    posts: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        posts.append(b"asked")

    with serving(answer) as server:
        assert refused(origin(server.port), "POST").why == Why.CUT
    assert len(posts) == 1
