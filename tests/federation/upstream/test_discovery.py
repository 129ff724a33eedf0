"""Reading a discovery document: what we would rely on is judged before it is stored."""

import json
import time
from typing import Any

import pytest

from broker import limits
from broker.registry.openid import Unreachable, discovery_address, fetch_discovery
from broker.registry.values import BadValue
from federation.upstream.discovery import read_discovery
from tests.fakes.fake_op import http
from tests.fakes.server import saying, serving, trickling

ISSUER = "https://login.globex.example"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/jwks",
    "response_types_supported": ["code", "id_token"],
    "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
}


def read(issuer: str = ISSUER, **changes: Any) -> Any:
    document = {name: value for name, value in (DOCUMENT | changes).items() if value is not ...}
    return read_discovery(json.dumps(document).encode(), issuer=issuer)


def test_what_we_use_is_kept_and_nothing_else():
    discovery = read(
        userinfo_endpoint=f"{ISSUER}/userinfo", authorization_response_iss_parameter_supported=True
    ).discovery
    assert discovery.as_column() == {
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "jwks_uri": f"{ISSUER}/jwks",
        "userinfo_endpoint": f"{ISSUER}/userinfo",
        "end_session_endpoint": "",
        "id_token_algorithms": ["RS256"],
        "authentication_methods": ["client_secret_basic"],
        "names_issuer": True,
    }


def test_only_algorithms_that_we_verify_are_kept():
    announced = ["none", "HS256", "ES256", "RS512", "RS256", "PS256", "EdDSA"]
    kept = read(id_token_signing_alg_values_supported=announced).discovery.id_token_algorithms
    assert set(kept) == {"RS256", "ES256"}


BAD = {
    "another issuer": {"issuer": "https://evil.example"},
    "an issuer with a slash more": {"issuer": f"{ISSUER}/"},
    "an issuer for every tenant": {"issuer": "https://login.example/{tenantid}/v2.0"},
    "no issuer": {"issuer": ...},
    "a list of issuers": {"issuer": [ISSUER]},
    "no authorization endpoint": {"authorization_endpoint": ...},
    "no token endpoint": {"token_endpoint": ...},
    "no keys": {"jwks_uri": ...},
    "a number as endpoint": {"token_endpoint": 5},
    "an empty endpoint": {"token_endpoint": ""},
    "plain http": {"token_endpoint": "http://login.globex.example/token"},
    "plain http to this machine": {"token_endpoint": "http://localhost:9/token"},
    "plain http for browsers": {"authorization_endpoint": "http://127.0.0.1/authorize"},
    "a script": {"authorization_endpoint": "javascript:alert(1)"},
    "a file": {"jwks_uri": "file:///etc/passwd"},
    "credentials": {"token_endpoint": "https://a:b@login.globex.example/token"},
    "a fragment": {"authorization_endpoint": f"{ISSUER}/authorize#x"},
    "a relative address": {"userinfo_endpoint": "/userinfo"},
    "userinfo in plain http": {"userinfo_endpoint": "http://login.globex.example/userinfo"},
    "the end in plain http": {"end_session_endpoint": "http://login.globex.example/end"},
    "no code flow": {"response_types_supported": ["id_token"]},
    "a text of response types": {"response_types_supported": "code"},
    "answers by form only": {"response_modes_supported": ["form_post"]},
    "no algorithm that we verify": {"id_token_signing_alg_values_supported": ["PS256", "none", "HS256"]},
    "an algorithm that is no text": {"id_token_signing_alg_values_supported": ["RS256", 5]},
    "methods that are no list": {"token_endpoint_auth_methods_supported": "client_secret_post"},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD.keys())
def test_a_document_on_which_we_cannot_rely_is_refused(changes):
    with pytest.raises(BadValue):
        read(**changes)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b"<html>", b'{"issuer": "a", "issuer": "b"}', b"\xff", b"[" * 99999]
)
def test_what_is_no_json_object_is_refused(raw):
    with pytest.raises(BadValue):
        read_discovery(raw, issuer=ISSUER)


def test_this_machine_is_accepted_where_the_operators_allow_it(settings):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    assert read(token_endpoint="http://localhost:9/token").discovery.token_endpoint == "http://localhost:9/token"
    settings.OUTGOING_NETWORKS = ["10.0.0.0/8"]
    with pytest.raises(BadValue):
        read(token_endpoint="http://localhost:9/token")


@pytest.mark.parametrize(
    ("network", "host", "is_accepted"),
    [
        ("127.0.19.0/24", "127.0.19.5", True),
        ("127.0.19.0/24", "127.0.0.1", False),
        ("127.0.19.0/24", "localhost", False),
        ("127.0.0.1/32", "127.0.19.5", False),
        ("::1/128", "[::1]", True),
        ("::1/128", "idp.localhost", True),
    ],
)
def test_of_this_machine_only_what_lies_in_an_allowed_network_is_accepted(settings, network, host, is_accepted):
    settings.OUTGOING_NETWORKS = [network]
    address = f"http://{host}:9/token"
    if is_accepted:
        assert read(token_endpoint=address).discovery.token_endpoint == address
    else:
        with pytest.raises(BadValue, match="allowed network"):
            read(token_endpoint=address)


def test_what_is_odd_is_said():
    oddities = read().oddities
    assert any("PKCE" in oddity for oddity in oddities)
    assert any("userinfo" in oddity for oddity in oddities)
    assert read(code_challenge_methods_supported=["S256"], userinfo_endpoint=f"{ISSUER}/u").oddities == ()


@pytest.mark.parametrize("issuer", ["https://a.example", "https://a.example/", "https://a.example/tenant"])
def test_the_document_stands_below_its_issuer(issuer):
    assert discovery_address(issuer) == f"{issuer.rstrip('/')}/.well-known/openid-configuration"


# Fetching -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def _loopback_is_allowed(settings):
    settings.OUTGOING_NETWORKS = ["127.0.0.1/32"]
    settings.OUTGOING_PROXY = ""


BAD_ANSWERS = {
    "HTML": http("<html>", content_type="text/html"),
    "404": http("{}", status="404 Not Found"),
    "a redirect": http("", status="302 Found", Location="http://127.0.0.1/"),
    "compressed": http(b"\x1f\x8b", Content_Encoding="gzip"),
    "50 MB": trickling(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b" " * 65536, pause=0, pieces=800),
    "half a megabyte and one byte": http(b" " * (limits.OUTGOING_JSON_BYTES + 1)),
}


@pytest.mark.usefixtures("_loopback_is_allowed")
@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_a_bad_answer_is_no_document(answer):
    with serving(answer if callable(answer) else saying(answer)) as server, pytest.raises(BadValue):
        fetch_discovery(f"http://localhost:{server.port}")


@pytest.mark.usefixtures("_loopback_is_allowed")
def test_a_document_that_trickles_is_given_up(monkeypatch):
    monkeypatch.setattr(limits, "OIDC_REQUEST_SECONDS", 0.3)
    slow = trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b" ", pause=0.05, pieces=200)
    began = time.monotonic()
    with serving(slow) as server, pytest.raises(Unreachable):
        fetch_discovery(f"http://localhost:{server.port}")
    assert time.monotonic() - began < 5


@pytest.mark.usefixtures("_loopback_is_allowed")
@pytest.mark.parametrize("location", ["http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://10.0.0.1/"])
def test_a_redirect_inside_is_not_followed(location):
    with serving(saying(http("{}"))) as inside:
        answer = http("", status="307 Go", Location=location.format(port=inside.port))
        with serving(saying(answer)) as server, pytest.raises(Unreachable):
            fetch_discovery(f"http://localhost:{server.port}")
    assert inside.connections == 0


@pytest.mark.parametrize("issuer", ["http://localhost:{port}", "https://127.0.0.1:{port}", "https://localhost:{port}"])
def test_an_issuer_on_this_machine_gets_no_packet_unless_it_is_allowed(settings, issuer):
    settings.OUTGOING_NETWORKS = []
    with serving(saying(http("{}"))) as server, pytest.raises(Unreachable):
        fetch_discovery(issuer.format(port=server.port))
    assert server.connections == 0
