"""The way out, against real servers on this machine: what it brings back, and how it ends what goes on too long."""

import ssl
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from broker import outgoing
from broker.errors import BrokerError
from tests.fakes.server import saying, serving, trickling

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@pytest.fixture(autouse=True)
def _loopback_is_allowed(settings):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""
    settings.OUTGOING_CA_FILE = ""


def fetch(url, **changes):
    return outgoing.fetch(url, **{"purpose": "metadata", "max_bytes": 1000, "accept": "application/json", **changes})


def refused(url, **changes):
    with pytest.raises(BrokerError) as caught:
        fetch(url, **changes)
    assert caught.value.code == "outgoing.refused"
    return caught.value


@pytest.fixture
def tls(tmp_path):
    """A server's context for the name idp.example, and the file that makes its certificate trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("idp.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    ca_file, both = tmp_path / "ca.pem", tmp_path / "server.pem"
    ca_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    both.write_bytes(ca_file.read_bytes() + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, str(ca_file)


def test_an_answer_comes_back_with_status_headers_and_body():
    with serving(saying(OK)) as server:
        fetched = fetch(f"http://127.0.0.1:{server.port}/metadata?x=1")
    assert (fetched.status, fetched.headers["content-type"], fetched.body) == (200, "application/json", b"{}")
    head = server.requests[0].decode()
    assert head.startswith("GET /metadata?x=1 HTTP/1.1\r\n")
    assert f"host: 127.0.0.1:{server.port}\r\n" in head.lower()
    assert "accept: application/json\r\n" in head.lower()
    assert "accept-encoding: identity\r\n" in head.lower()


def test_a_body_is_posted_with_its_headers():
    with serving(saying(OK)) as server:
        fetch(
            f"http://localhost:{server.port}/token",
            method="POST",
            body=b"a=b",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /token ")
    assert b"content-type: application/x-www-form-urlencoded" in head.lower()
    assert body == b"a=b"


def test_an_error_status_is_an_answer_too():
    with serving(saying(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")) as server:
        assert fetch(f"http://127.0.0.1:{server.port}/").status == 404


@pytest.mark.parametrize("host", ["localhost", "crm.localhost", "crm.localhost."])
def test_names_under_localhost_lead_to_loopback_without_a_name_service(host):
    with serving(saying(OK)) as server:
        assert fetch(f"http://{host}:{server.port}/", resolve=lambda _: pytest.fail("asked")).status == 200
    assert f"host: {host.rstrip('.')}:{server.port}" in server.requests[0].decode().lower()


def test_https_goes_to_the_judged_address_with_the_name_in_handshake_and_host(tls, settings):
    context, settings.OUTGOING_CA_FILE = tls
    names = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with serving(saying(OK), context) as server:
        fetched = fetch(f"https://idp.example:{server.port}/", resolve=lambda _: ["127.0.0.1"])
    assert fetched.status == 200
    assert names == ["idp.example"]
    assert f"host: idp.example:{server.port}\r\n" in server.requests[0].decode().lower()


def test_a_certificate_for_another_name_is_refused(tls, settings):
    context, settings.OUTGOING_CA_FILE = tls
    with serving(saying(OK), context) as server:
        error = refused(f"https://other.example:{server.port}/", resolve=lambda _: ["127.0.0.1"])
    assert "certificate" in error.detail
    assert server.requests == []


def test_a_certificate_of_nobody_we_trust_is_refused(tls):
    with serving(saying(OK), tls[0]) as server:
        refused(f"https://idp.example:{server.port}/", resolve=lambda _: ["127.0.0.1"])
    assert server.requests == []


def test_certificates_that_the_environment_names_are_not_trusted(tls, monkeypatch):
    context, ca_file = tls
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    outgoing._trust.cache_clear()
    with serving(saying(OK), context) as server:
        refused(f"https://idp.example:{server.port}/", resolve=lambda _: ["127.0.0.1"])
    assert server.requests == []


def test_a_missing_certificate_file_is_refused_and_not_worked_around(settings):
    settings.OUTGOING_CA_FILE = "/nowhere/ca.pem"
    with serving(saying(OK)) as server:
        assert "FileNotFoundError" in refused(f"https://127.0.0.1:{server.port}/").detail
    assert server.connections == 0


def test_a_proxy_that_the_environment_names_is_not_used(monkeypatch):
    with serving(saying(OK)) as proxy, serving(saying(OK)) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert fetch(f"http://127.0.0.1:{server.port}/").status == 200
    assert proxy.connections == 0


def test_the_proxy_of_the_settings_is_asked_for_the_judged_address(settings):
    with serving(saying(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")) as proxy:
        settings.OUTGOING_PROXY = f"http://127.0.0.1:{proxy.port}"
        refused("https://idp.example/metadata", resolve=lambda _: ["8.8.8.8"])
    assert proxy.requests[0].startswith(b"CONNECT 8.8.8.8:443 ")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_not_followed(status):
    with serving(saying(OK)) as inside:
        answer = f"HTTP/1.1 {status} Go\r\nLocation: http://127.0.0.1:{inside.port}/\r\nContent-Length: 0\r\n\r\n"
        with serving(saying(answer.encode())) as server:
            error = refused(f"http://127.0.0.1:{server.port}/")
    assert error.actual == str(status)
    assert inside.connections == 0


def test_a_body_of_the_greatest_size_passes_and_one_byte_more_is_refused():
    for size, passes in ((1000, True), (1001, False)):
        raw = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode() + b"x" * size
        with serving(saying(raw)) as server:
            url = f"http://127.0.0.1:{server.port}/"
            if passes:
                assert len(fetch(url).body) == size
            else:
                assert "too large" in refused(url).detail


def test_a_body_without_a_length_is_cut_off_at_the_cap():
    endless = trickling(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x" * 65536, pause=0, pieces=1000)
    with serving(endless) as server:
        assert "too large" in refused(f"http://127.0.0.1:{server.port}/").detail


def test_a_compressed_answer_is_refused_since_its_size_is_not_what_it_seems():
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b"
    with serving(saying(raw)) as server:
        assert "compressed" in refused(f"http://127.0.0.1:{server.port}/").detail


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"",
    ],
    ids=["body", "body without length", "header", "status line"],
)
def test_a_trickle_ends_at_the_deadline_wherever_it_comes(head):
    with serving(trickling(head, b"H", pause=0.05, pieces=400)) as server:
        began = time.monotonic()
        error = refused(f"http://127.0.0.1:{server.port}/", total_seconds=0.3)
        assert time.monotonic() - began < 5
    assert "Timeout" in error.detail


def test_silence_ends_at_the_deadline():
    with serving(lambda connection: connection.recv(1)) as server:
        began = time.monotonic()
        refused(f"http://127.0.0.1:{server.port}/", total_seconds=0.2)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "raw", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"]
)
def test_a_broken_answer_is_refused(raw):
    with serving(saying(raw)) as server:
        refused(f"http://127.0.0.1:{server.port}/")


def test_a_closed_port_is_refused():
    with serving(saying(OK)) as server:
        port = server.port
    assert "no connection" in refused(f"http://127.0.0.1:{port}/").detail


def test_another_address_of_the_name_is_tried_when_the_first_does_not_answer(tls, settings):
    context, settings.OUTGOING_CA_FILE = tls
    with serving(saying(OK), context) as server:
        url = f"https://idp.example:{server.port}/"
        assert fetch(url, resolve=lambda _: ["127.0.0.2", "127.0.0.1"]).status == 200


def test_a_name_that_does_not_resolve_is_refused():
    def resolve(host):
        raise OSError("no such name")

    assert "does not resolve" in refused("https://idp.example/", resolve=resolve).detail
    assert "no address" in refused("https://idp.example/", resolve=lambda _: []).detail


def test_the_refusal_names_the_purpose_and_no_query():
    error = refused("https://idp.example/?token=secret", resolve=lambda _: ["10.0.0.1"])
    assert "metadata from https://idp.example:443" in error.detail
    assert "secret" not in error.detail + error.expected + error.actual


def test_the_system_resolver_knows_this_machine():
    assert "127.0.0.1" in outgoing.system_resolver("127.0.0.1")


def test_the_internet_is_public():
    assert outgoing.is_public(ip_address("8.8.8.8"))
    assert outgoing.is_public(ip_address("2606:4700::1111"))
