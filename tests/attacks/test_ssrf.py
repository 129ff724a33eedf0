"""Attack: an address that somebody registers leads our requests to places that only we can reach."""

import pytest

from broker import outgoing
from broker.errors import BrokerError
from tests.fakes.server import saying, serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
INSIDE = [
    "0.0.0.0",  # this machine, on Linux
    "10.0.0.1",
    "100.64.0.1",  # shared by carriers (CGNAT)
    "127.0.0.1",
    "127.1.2.3",
    "169.254.169.254",  # the cloud's metadata
    "172.16.0.1",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",  # IPv4-compatible
    "::ffff:127.0.0.1",  # IPv4-mapped
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::1",  # 6to4
    "2002:a00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # the cloud's metadata, IPv6
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.fixture(autouse=True)
def _no_network_is_allowed(settings):
    settings.OUTGOING_NETWORKS = []
    settings.OUTGOING_PROXY = ""


def refused(url, **changes):
    with pytest.raises(BrokerError) as caught:
        outgoing.fetch(url, **{"purpose": "metadata", "max_bytes": 1000, "accept": "*/*", **changes})
    assert caught.value.code == "outgoing.refused"
    return caught.value


@pytest.mark.parametrize("address", INSIDE)
def test_a_name_that_leads_inside_is_refused(address):
    error = refused("https://idp.example/", resolve=lambda _: [address])
    assert "not a public address" in error.detail


@pytest.mark.parametrize("address", INSIDE)
def test_one_address_inside_spoils_the_public_ones(address):
    error = refused("https://idp.example/", resolve=lambda _: ["8.8.8.8", address])
    assert "not a public address" in error.detail


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "localhost", "a.localhost", "127.1", "2130706433", "0x7f.0.0.1", "[::ffff:127.0.0.1]"],
)
def test_no_spelling_of_loopback_gets_a_single_packet(host):
    with serving(saying(OK)) as server:
        for scheme in ("http", "https"):
            refused(f"{scheme}://{host}:{server.port}/")
    assert server.connections == 0


def test_the_second_answer_of_a_name_server_is_never_asked_for(settings):
    """Rebinding: a public address while we judge, an inner one when we connect."""
    answers = [["127.0.0.2"], ["127.0.0.1"]]
    settings.OUTGOING_NETWORKS = ["127.0.0.2/32"]
    with serving(saying(OK)) as server:
        refused(f"https://idp.example:{server.port}/", resolve=lambda _: answers.pop(0))
    assert answers == [["127.0.0.1"]]
    assert server.connections == 0


def test_a_network_that_is_allowed_opens_no_other():
    with serving(saying(OK)) as server:
        refused(f"https://idp.example:{server.port}/", resolve=lambda _: ["127.0.0.1"])
    assert server.connections == 0


def test_a_mapped_address_is_not_its_ipv4_address(settings):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    with serving(saying(OK)) as server:
        refused(f"https://idp.example:{server.port}/", resolve=lambda _: ["::ffff:127.0.0.1"])
    assert server.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "",
        "idp.example",
        "//idp.example/",
        "http://idp.example/",
        "HTTP://idp.example/",
        "ftp://idp.example/",
        "file:///etc/passwd",
        "gopher://idp.example/",
        "https://",
        "https:///path",
        "https://person:secret@idp.example/",
        "https://@idp.example/",
        "https://idp.example/#fragment",
        "https://idp.example:0/",
        "https://idp.example:65536/",
        "https://idp.example:http/",
        "https://[::1",
        "https://[fe80::1%25eth0]/",
        "https://idp.example\\@127.0.0.1/",
        "https://idp.example/a b",
        "https://idp.example/\r\nHost: inside",
        "https://idp.example/\x00",
        "https://ídp.example/",
        " https://idp.example/",
    ],
)
def test_an_address_that_two_parsers_could_read_differently_is_refused(url):
    assert refused(url, resolve=lambda _: pytest.fail("the name was looked up"))


def test_plain_http_stays_on_this_machine_even_in_allowed_networks(settings):
    settings.OUTGOING_NETWORKS = ["0.0.0.0/0"]
    assert "plain http" in refused("http://10.0.0.1/").detail
